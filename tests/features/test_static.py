"""/static as a real server gives it, and what of a folder is given at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.features.static import versioned
from app.features.static.folder import read_folder
from tests.features.test_documentation import ask
from tests.harness.fixtures import StartApp

CLIENT = "/static/realtime.js"
FILES = Path("app/features/static/files")


@pytest.mark.engines
async def test_a_plain_name_is_asked_for_again_and_costs_no_body(app_process: StartApp) -> None:
    http = (await app_process()).http

    first = await http.get(CLIENT)
    again = await http.get(CLIENT, headers={"If-None-Match": first.headers["etag"]})
    changed = await http.get(CLIENT, headers={"If-None-Match": '"another"'})
    head = await http.head(CLIENT)

    assert first.content == Path(__file__).parents[2].joinpath(FILES, "realtime.js").read_bytes()
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert first.headers["cache-control"] == "no-cache"
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["etag"].startswith('"'), "a strong one"
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["cache-control"]) == (first.headers["etag"], "no-cache")
    assert (changed.status_code, changed.content) == (200, first.content)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    assert head.headers["content-length"] == str(len(first.content))


@pytest.mark.engines
async def test_only_the_right_version_may_be_kept_for_ever(app_process: StartApp) -> None:
    http = (await app_process()).http

    right = await http.get(versioned("realtime.js"))
    wrong = await http.get(f"{CLIENT}?v=0123456789abcdef")

    assert versioned("realtime.js").startswith(f"{CLIENT}?v=")
    assert right.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (wrong.status_code, wrong.headers["cache-control"]) == (200, "no-cache")


@pytest.mark.engines
@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/realtime",
        "/static/REALTIME.JS",
        "/static/realtime.js/",
        "/static/realtime.js/..",
        "/static/realtime.js%00",
        "/static/./realtime.js",
        "/static/%2e/realtime.js",
        "/static/../routes.py",
        "/static/..%2froutes.py",
        "/static/..%5croutes.py",
        "/static/%2e%2e/%2e%2e/%2e%2e/settings.toml",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/static/%2fetc%2fpasswd",
        "/static//etc/passwd",
        "/static//realtime.js",
        "/static/__init__.py",
    ],
)
async def test_nothing_else_is_given(app_process: StartApp, path: str) -> None:
    app = await app_process()

    answer = await ask(app.http.base_url, path)

    assert answer.split(b" ", 2)[1] in {b"404", b"400"}, answer[:300]
    assert b"\r\ncontent-type: application/json\r\n" in answer.lower(), answer[:600]
    assert b'"code":' in answer


@pytest.mark.engines
async def test_other_methods_are_refused(app_process: StartApp) -> None:
    http = (await app_process()).http

    answer = await http.post(CLIENT)

    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")


def test_a_version_is_asked_for_a_file_that_is_there() -> None:
    with pytest.raises(KeyError):
        versioned("nothing.js")


def test_only_known_types_are_read_and_nothing_hidden_linked_or_mapped(tmp_path: Path) -> None:
    folder, outside = tmp_path / "files", tmp_path / "outside"
    (folder / "icons").mkdir(parents=True)
    (folder / ".git").mkdir()
    outside.mkdir()
    (outside / "secret.js").write_text("secret")
    for name in ("page.js", "page.js.map", ".hidden.js", "page.py", "page.js~", "icons/one.svg", ".git/config.json"):
        (folder / name).write_text(name)
    (folder / "link.js").symlink_to(outside / "secret.js")
    (folder / "linked").symlink_to(outside, target_is_directory=True)

    found = read_folder(folder)

    assert {name: file.content for name, file in found.items()} == {
        "page.js": b"page.js",
        "icons/one.svg": b"icons/one.svg",
    }
    assert found["icons/one.svg"].content_type == "image/svg+xml; charset=utf-8"


def test_a_version_changes_with_the_content_alone(tmp_path: Path) -> None:
    for folder, text in (("one", "a"), ("two", "a"), ("three", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "page.js").write_text(text)

    one, two, three = (read_folder(tmp_path / name)["page.js"].version for name in ("one", "two", "three"))

    assert one == two != three


def test_every_file_of_the_service_is_given() -> None:
    """A file of a type that is not known would have no address, and nobody would be told."""
    folder = Path(__file__).parents[2] / FILES

    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    assert there == set(read_folder(folder))
