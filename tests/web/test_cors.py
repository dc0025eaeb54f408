"""Listed origins only, and on every answer."""

from __future__ import annotations

import httpx
import pytest

from app.web import Application
from app.web.cors import Cors
from tests.web.conftest import Serving

pytestmark = pytest.mark.engines

LISTED = "https://app.example"


@pytest.fixture
def application(application: Application) -> Application:
    @application.get("/fine")
    async def fine() -> str:
        return "fine"

    application.asgi_app = Cors(application.asgi_app, origins=[LISTED])  # type: ignore[method-assign]  # Quart's documented hook
    return application


async def test_a_preflight_from_a_listed_origin_is_answered(application: Application, serving: Serving) -> None:
    async with serving(application) as client:
        answer = await client.options("/fine", headers={"Origin": LISTED, "Access-Control-Request-Method": "PUT"})

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == LISTED
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, DELETE, PATCH"
    assert answer.headers["access-control-allow-headers"] == "Content-Type, Authorization, X-CSRF-Token"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-max-age"] == "3600"


@pytest.mark.parametrize("path", ["/fine", "/nowhere"])
async def test_answers_and_errors_carry_the_headers(application: Application, serving: Serving, path: str) -> None:
    async with serving(application) as client:
        answer = await client.get(path, headers={"Origin": LISTED})

    assert answer.headers["access-control-allow-origin"] == LISTED
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://app.example.evil.example", "null", "HTTPS://APP.EXAMPLE"]
)
async def test_any_other_origin_sees_nothing(application: Application, serving: Serving, origin: str) -> None:
    async with serving(application) as client:
        answers = [
            await client.get("/fine", headers={"Origin": origin}),
            await client.options("/fine", headers={"Origin": origin, "Access-Control-Request-Method": "PUT"}),
        ]

    assert all(not _cors_headers(answer) for answer in answers)
    assert all(answer.headers["vary"] == "Origin" for answer in answers)


def _cors_headers(answer: httpx.Response) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]
