"""What every answer tells a browser to refuse."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from quart import Blueprint, Response

from app.web import PUBLIC, Application, endpoint, page_policy
from tests.web.conftest import Serving
from tests.web.edge import edge_of

EXPECTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "strict-origin-when-cross-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def answering(root: Path, *overrides: str) -> Application:
    """An application that answers in all the ways there are."""
    routes = Blueprint("answers", __name__)

    @routes.get("/fine")
    @endpoint(PUBLIC)
    async def fine() -> dict[str, str]:
        return {}

    @routes.get("/panic")
    @endpoint(PUBLIC)
    async def panic() -> Response:
        raise RuntimeError

    @routes.get("/slow")
    @endpoint(PUBLIC.but(timeout=0.05))
    async def slow() -> Response:
        from asyncio import Event  # noqa: PLC0415  (nobody sets it)

        await Event().wait()
        return Response("never")

    @routes.get("/page")
    @endpoint(PUBLIC)
    async def page() -> Response:
        return Response("<p>page</p>", headers={"Content-Security-Policy": "default-src 'self'"})

    return edge_of(root, routes, *overrides)


@pytest.mark.engines
@pytest.mark.parametrize(
    ("path", "status"), [("/fine", 200), ("/nowhere", 404), ("/panic", 500), ("/slow", 408), ("/page", 200)]
)
async def test_every_answer_carries_them_once(settings_root: Path, serving: Serving, path: str, status: int) -> None:
    async with serving(answering(settings_root)) as client:
        answer = await client.get(path)

    assert answer.status_code == status
    expected = EXPECTED if path != "/page" else {**EXPECTED, "content-security-policy": "default-src 'self'"}
    assert {name: answer.headers.get_list(name) for name in expected} == {
        name: [value] for name, value in expected.items()
    }


@pytest.mark.engines
async def test_no_answer_names_the_server(settings_root: Path, serving: Serving) -> None:
    async with serving(answering(settings_root)) as client:
        answers = [await client.get(path) for path in ("/fine", "/nowhere", "/panic")]

    assert not any({"server", "x-powered-by", "via"} & set(answer.headers) for answer in answers)


@pytest.mark.engines
@pytest.mark.parametrize("proto", ["http", "https"])
async def test_strict_transport_is_said_over_tls_only(settings_root: Path, serving: Serving, proto: str) -> None:
    app = answering(settings_root, "server.trusted_proxies=127.0.0.1")

    async with serving(app) as client:
        answer = await client.get("/fine", headers={"X-Forwarded-Proto": proto})

    expected = "max-age=31536000; includeSubDomains" if proto == "https" else None
    assert answer.headers.get("strict-transport-security") == expected


def test_a_page_runs_what_it_brings_and_nothing_else() -> None:
    html = "<style>p { color: red }</style><script>start()</script><script>\nsecond()\n</script>"

    policy = dict(part.split(" ", 1) for part in page_policy(html).split("; "))

    digests = [
        base64.b64encode(hashlib.sha256(text).digest()).decode()
        for text in (b"start()", b"\nsecond()\n", b"p { color: red }")
    ]
    assert policy["script-src"] == f"'self' 'sha256-{digests[0]}' 'sha256-{digests[1]}'"
    assert policy["style-src"] == f"'self' 'sha256-{digests[2]}'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in page_policy(html)
