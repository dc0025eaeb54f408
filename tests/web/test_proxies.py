"""Forwarded addresses are believed from trusted proxies, and from nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypercorn.middleware import ProxyFixMiddleware
from quart import Blueprint, Quart, request

from app.web import PUBLIC, Application, endpoint
from app.web.exchange import exchange_of
from tests.web.conftest import Serving
from tests.web.edge import edge_of

LOOPBACK = "server.trusted_proxies=127.0.0.1,10.0.0.0/8"


def seen_by(root: Path, *overrides: str) -> Application:
    """An application that says whom it takes for the client."""
    routes = Blueprint("seen", __name__)

    @routes.get("/")
    @endpoint(PUBLIC)
    async def seen() -> dict[str, object]:
        exchange = exchange_of(request.scope)
        return {
            "exchange": [exchange.client, exchange.scheme],
            "quart": [request.remote_addr, request.scheme],
            "host": request.host,
        }

    return edge_of(root, routes, *overrides)


async def ask(serving: Serving, app: Application, *headers: tuple[str, str]) -> dict[str, object]:
    async with serving(app) as client:
        answer: dict[str, object] = (await client.get("/", headers=list(headers))).json()
    return answer


FROM_PROXY = {
    "one hop": ([("X-Forwarded-For", "203.0.113.9")], "203.0.113.9"),
    "what the client claims stands before what the proxy adds": (
        [("X-Forwarded-For", "6.6.6.6, 203.0.113.9")],
        "203.0.113.9",
    ),
    "two trusted hops": ([("X-Forwarded-For", "203.0.113.9, 10.1.2.3")], "203.0.113.9"),
    "all hops trusted": ([("X-Forwarded-For", "10.9.9.9, 10.1.2.3")], "10.9.9.9"),
    "two lines are one list": (
        [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "203.0.113.9")],
        "203.0.113.9",
    ),
    "IPv6": ([("X-Forwarded-For", "2001:db8::7")], "2001:db8::7"),
    "IPv4 inside IPv6": ([("X-Forwarded-For", "::ffff:203.0.113.9")], "203.0.113.9"),
    "no address ends the walk": ([("X-Forwarded-For", "203.0.113.9, unknown")], "127.0.0.1"),
    "no address behind a trusted hop ends it there": ([("X-Forwarded-For", "evil!, 10.1.2.3")], "10.1.2.3"),
    "an address with a port is none": ([("X-Forwarded-For", "203.0.113.9:80")], "127.0.0.1"),
    "empty": ([("X-Forwarded-For", "")], "127.0.0.1"),
    "commas only": ([("X-Forwarded-For", ",,")], "127.0.0.1"),
    "nothing forwarded": ([], "127.0.0.1"),
    "the standard header that is not read": ([("Forwarded", "for=6.6.6.6")], "127.0.0.1"),
}


@pytest.mark.engines
@pytest.mark.parametrize("name", FROM_PROXY)
async def test_a_trusted_proxy_is_believed_as_far_as_it_knows(settings_root: Path, serving: Serving, name: str) -> None:
    headers, expected = FROM_PROXY[name]

    seen = await ask(serving, seen_by(settings_root, LOOPBACK), *headers)

    assert seen["exchange"] == [expected, "http"]
    assert seen["quart"] == [expected, "http"]


@pytest.mark.engines
@pytest.mark.parametrize(
    ("claimed", "scheme"),
    [
        (["https"], "https"),
        (["HTTPS"], "https"),
        (["http"], "http"),
        (["javascript"], "http"),
        ([""], "http"),
        (["http, https"], "https"),
        (["https", "http"], "http"),  # the proxy's own line is the last one
    ],
)
async def test_the_scheme_is_one_of_two(settings_root: Path, serving: Serving, claimed: list[str], scheme: str) -> None:
    seen = await ask(serving, seen_by(settings_root, LOOPBACK), *[("X-Forwarded-Proto", value) for value in claimed])

    assert seen["exchange"] == ["127.0.0.1", scheme]
    assert seen["quart"] == ["127.0.0.1", scheme]


FORGED = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.example"),
    ("X-Real-IP", "6.6.6.6"),
]


@pytest.mark.engines
@pytest.mark.parametrize("trusted", ["", "10.0.0.0/8"])
async def test_nobody_else_is_believed(settings_root: Path, serving: Serving, trusted: str) -> None:
    seen = await ask(serving, seen_by(settings_root, f"server.trusted_proxies={trusted}"), *FORGED)

    assert seen["exchange"] == ["127.0.0.1", "http"]
    assert seen["quart"] == ["127.0.0.1", "http"]


@pytest.mark.engines
async def test_a_forwarded_host_is_believed_from_nobody(settings_root: Path, serving: Serving) -> None:
    seen = await ask(serving, seen_by(settings_root, LOOPBACK), *FORGED, ("Host", "app.example"))

    assert seen["host"] == "app.example"


async def test_the_stock_middleware_believes_anybody() -> None:
    """The control: what Hypercorn offers trusts a number of hops, whoever sends them, and checks nothing."""
    stock = Quart("stock")
    seen = []

    @stock.get("/")
    async def look() -> str:
        seen.append((request.scope["client"], request.scope["scheme"]))
        return ""

    app: Any = ProxyFixMiddleware(stock, mode="legacy", trusted_hops=1)
    scheme = [("X-Forwarded-For", "not an address"), ("X-Forwarded-Proto", "javascript")]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("198.51.100.1", 1)),
        base_url="http://stock",
    ) as client:
        await client.get("/", headers=scheme)

    assert seen == [(("not an address", 0), "javascript")]
