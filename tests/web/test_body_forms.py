"""A form has a bounded number of parts and a bounded amount of text, and is refused when it cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from quart import Quart, request

from app.core.lifecycle import Lifecycle
from app.web import KIB, MIB, Application
from app.web.body import BodyLimits
from tests.web.conftest import Serving

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=b"


def part(name: str, value: bytes, *, filename: str = "") -> bytes:
    file = f'; filename="{filename}"' if filename else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + value + b"\r\n"


END = b"--b--\r\n"


async def read() -> dict[str, Any]:
    form, files = await request.form, await request.files
    return {"form": form.to_dict(flat=False), "files": {name: len(file.read()) for name, file in files.items()}}


@pytest.fixture
def application() -> Application:
    app = Application("app", request_timeout=20, lifecycle=Lifecycle())
    app.gates = (BodyLimits(limit=4 * MIB, timeout=5),)
    app.post("/")(read)
    return app


@pytest.mark.engines
async def test_fields_and_files_are_read(application: Application, serving: Serving) -> None:
    content = part("a", b"1") + part("a", "é".encode()) + part("f", b"x" * 100 * KIB, filename="f.bin") + END

    async with serving(application) as client:
        answer = await client.post("/", content=content, headers={"content-type": MULTIPART})
        short = await client.post("/", content=b"a=1&a=%C3%A9&b=", headers={"content-type": URLENCODED})

    assert answer.json() == {"form": {"a": ["1", "é"]}, "files": {"f": 100 * KIB}}
    assert short.json() == {"form": {"a": ["1", "é"], "b": [""]}, "files": {}}


@pytest.mark.engines
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (MULTIPART, part("a", b"") * 1001 + END),
        (URLENCODED, b"a&" * 1001),
        (MULTIPART, part("a", b"x" * 300 * KIB) * 2 + END),
        (MULTIPART, b"--b\r\nX: " + b"x" * MIB),
    ],
    ids=["parts", "pairs", "text", "heads"],
)
async def test_a_form_with_too_much_in_it_is_413(
    application: Application, serving: Serving, kind: str, content: bytes
) -> None:
    async with serving(application) as client:
        answer = await client.post("/", content=content, headers={"content-type": kind})

    assert (answer.status_code, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.json()["error"] == "The form has too many parts, or too much text."


@pytest.mark.engines
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("multipart/form-data", END),
        (MULTIPART, b"no form"),
        (MULTIPART, part("a", b"1")),
        (MULTIPART, part("a", b"\xff") + END),
        (URLENCODED, b"a=\xff"),
        (URLENCODED, b"a=%ff"),
    ],
    ids=["no boundary", "no part", "no end", "not UTF-8", "raw not UTF-8", "quoted not UTF-8"],
)
async def test_a_form_that_cannot_be_read_is_400(
    application: Application, serving: Serving, kind: str, content: bytes
) -> None:
    async with serving(application) as client:
        answer = await client.post("/", content=content, headers={"content-type": kind})

    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "The form cannot be read.", "code": "BAD_REQUEST"},
    )


@pytest.mark.engines
async def test_files_are_closed_with_the_request(application: Application, serving: Serving) -> None:
    seen = []

    @application.post("/keep")
    async def keep() -> str:
        seen.append((await request.files)["f"].stream)
        return f"closed: {seen[0].closed}"

    content = part("f", b"x" * 100 * KIB, filename="f.bin") + END
    async with serving(application) as client:
        answer = await client.post("/keep", content=content, headers={"content-type": MULTIPART})

    assert answer.text == "closed: False"
    assert seen[0].closed


async def test_stock_takes_a_form_without_an_end_and_any_amount_of_text() -> None:
    """The control: what the two refusals above are for."""
    stock = Quart(__name__)
    stock.post("/")(read)
    client = stock.test_client()

    cut = await client.post("/", data=part("a", b"1"), headers={"content-type": MULTIPART})
    much = await client.post("/", data=part("a", b"x" * 300 * KIB) * 10 + END, headers={"content-type": MULTIPART})

    assert (cut.status_code, await cut.get_json()) == (200, {"form": {}, "files": {}})
    assert (much.status_code, len((await much.get_json())["form"]["a"])) == (200, 10)
