"""Cross-site WebSocket hijacking: a foreign page's handshake carries its victim's cookies, and opens nothing here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from app.core.settings import PROJECT_ROOT
from tests.harness.settings import TestSettings
from tests.harness.signed_tokens import bearer, cookie
from tests.web import socket_routes
from tests.web.conftest import Serving
from tests.web.handshakes import Answer, Header, answer_to, place_of
from tests.web.opened import opened

VICTIM = tuple(cookie("ada").items())
TOKEN = tuple(bearer("ada").items())
HOST = ("Host", "app.example")
OWN = ("Origin", "http://app.example")
EVIL = ("Origin", "https://evil.example")


async def ask(
    settings: TestSettings, serving: Serving, *handshakes: Sequence[Header], overrides: Sequence[str] = ()
) -> list[Answer]:
    """One application for all of them, as each stands for itself."""
    async with opened(settings(*overrides), socket_routes.feature) as app, serving(app) as client:
        return [await answer_to(place_of(client), "/sockets/socket", *headers) for headers in handshakes]


def statuses(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers]


def origin(text: str) -> Header:
    """Bytes beyond ASCII leave as UTF-8, each of them one character of a header."""
    return "Origin", text.encode().decode("latin1")


@pytest.mark.engines
async def test_a_foreign_page_opens_no_socket_with_its_victims_cookie(settings: TestSettings, serving: Serving) -> None:
    foreign, own = await ask(settings, serving, [HOST, EVIL, *VICTIM], [HOST, OWN, *VICTIM])

    assert (foreign.status, foreign.code) == (403, "FORBIDDEN")
    assert len(foreign.headers["x-request-id"]) == 36
    assert own.status == 101


@asynccontextmanager
async def stock() -> AsyncIterator[tuple[str, int]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.web.stock_sockets"), cwd=PROJECT_ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield "127.0.0.1", int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


async def test_control_stock_quart_lets_the_foreign_page_in() -> None:
    async with stock() as place:
        foreign = await answer_to(place, "/sockets/socket", HOST, EVIL, *VICTIM)
        nobody = await answer_to(place, "/sockets/socket", HOST, EVIL)

    assert foreign.status == 101
    assert nobody.status != 101  # it is the cookie that opened it


# What is sent beside `Host: app.example`, and what becomes of it.
ORIGINS: dict[str, tuple[list[str], int]] = {
    "this service": (["http://app.example"], 101),
    "this service with the port that is meant anyway": (["http://app.example:80"], 101),
    "this service, shouted": (["HTTP://APP.EXAMPLE"], 101),
    "none, with a cookie": ([], 403),
    "a page without an origin": (["null"], 403),
    "empty": ([""], 403),
    "another scheme": (["https://app.example"], 403),
    "another port": (["http://app.example:8080"], 403),
    "another name": (["http://evil.example"], 403),
    "a name that begins like ours": (["http://app.example.evil.example"], 403),
    "a name that ends like ours": (["http://evilapp.example"], 403),
    "a name below ours": (["http://evil.app.example"], 403),
    "the name above ours": (["http://example"], 403),
    "a trailing dot, which is another origin to a browser": (["http://app.example."], 403),
    "ours as its user": (["http://app.example@evil.example"], 403),
    "ours as its path": (["http://evil.example/app.example"], 403),
    "ours with a path": (["http://app.example/"], 403),
    "ours as its fragment": (["http://evil.example#app.example"], 403),
    "a backslash": (["http://app.example\\@evil.example"], 403),
    "a tab, which Python's parser drops": (["http://app.exa\tmple"], 403),
    "a space": (["http://app.example http://evil.example"], 403),
    "letters that look like ours": (["http://\u0430pp.example"], 403),
    "letters that fold to ours": (["http://\uff41pp.example"], 403),
    "ours in punycode of a lookalike": (["http://xn--pp-7lc.example"], 403),
    "a comma": (["http://app.example, http://evil.example"], 403),
    "two of them": (["http://app.example", "http://evil.example"], 403),
    "twice the same": (["http://app.example", "http://app.example"], 403),
    "no port behind the colon": (["http://app.example:"], 403),
    "a port that is none": (["http://app.example:80x"], 403),
    "a file": (["file://"], 403),
    "an extension": (["chrome-extension://abcdefghijklmnop"], 403),
    "a WebSocket's scheme": (["ws://app.example"], 403),
    "any": (["*"], 403),
}


@pytest.mark.engines
async def test_only_this_services_own_pages_are_let_in(settings: TestSettings, serving: Serving) -> None:
    handshakes = [[HOST, *map(origin, origins), *VICTIM] for origins, _ in ORIGINS.values()]

    answers = await ask(settings, serving, *handshakes)

    assert dict(zip(ORIGINS, statuses(answers), strict=True)) == {name: status for name, (_, status) in ORIGINS.items()}


LISTED = {
    "https://pages.example": 101,
    "https://pages.example:443": 101,
    "https://xn--bcher-kva.example": 101,
    "https://b\u00fccher.example": 403,  # no browser writes it so
    "http://pages.example": 403,
    "https://pages.example:8443": 403,
    "https://other.pages.example": 403,
    "https://pages.example.": 403,
}


@pytest.mark.engines
async def test_listed_origins_are_let_in_and_compared_whole(settings: TestSettings, serving: Serving) -> None:
    listed = "server.cors_origins=https://pages.example,https://xn--bcher-kva.example"
    handshakes = [[HOST, origin(each), *VICTIM] for each in LISTED]

    answers = await ask(settings, serving, *handshakes, overrides=[listed])

    assert dict(zip(LISTED, statuses(answers), strict=True)) == LISTED


@pytest.mark.engines
async def test_tokens_are_held_to_the_origin_where_there_is_one(settings: TestSettings, serving: Serving) -> None:
    some_cookie = ("Cookie", "affinity=3")
    expected: list[tuple[list[Header], int]] = [
        ([], 101),  # no browser: it would say where it comes from
        ([EVIL], 403),
        ([OWN], 101),
        ([some_cookie], 403),  # cookies, and hides where it comes from
        ([some_cookie, OWN], 101),
    ]

    answers = await ask(settings, serving, *([HOST, *TOKEN, *headers] for headers, _ in expected))

    assert statuses(answers) == [status for _, status in expected]


@pytest.mark.engines
async def test_nobody_can_say_what_our_origin_is(settings: TestSettings, serving: Serving) -> None:
    claims = [
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "host=evil.example;proto=https"),
        ("X-Forwarded-Proto", "https"),
        ("X-Original-Host", "evil.example"),
    ]

    answers = await ask(settings, serving, *([HOST, EVIL, claim, *VICTIM] for claim in claims))

    assert statuses(answers) == [403] * len(claims)


BEHIND_A_PROXY = {
    ("https", "https://app.example"): 101,
    ("wss", "https://app.example"): 101,  # what some proxies say of a handshake
    ("WSS", "https://app.example"): 101,
    ("https", "http://app.example"): 403,  # a page without TLS, which anybody in between may have written
    ("wss", "http://app.example"): 403,
    ("http", "http://app.example"): 101,
    ("ws", "http://app.example"): 101,
    ("ws", "https://app.example"): 403,
    ("https, http", "https://app.example"): 403,  # the last one is the proxy's own
    ("javascript", "https://app.example"): 403,
}
WITHOUT_ONE = {
    ("https", "https://app.example"): 403,  # nobody vouches for that
    ("wss", "http://app.example"): 101,
}


@pytest.mark.engines
@pytest.mark.parametrize(
    ("overrides", "expected"), [(["server.trusted_proxies=127.0.0.0/8"], BEHIND_A_PROXY), ([], WITHOUT_ONE)]
)
async def test_the_scheme_is_what_the_client_sees(
    settings: TestSettings, serving: Serving, overrides: list[str], expected: dict[tuple[str, str], int]
) -> None:
    handshakes = [[HOST, ("X-Forwarded-Proto", proto), origin(page), *VICTIM] for proto, page in expected]

    answers = await ask(settings, serving, *handshakes, overrides=overrides)

    assert dict(zip(expected, statuses(answers), strict=True)) == expected


ASKED_FOR = {
    ("app.example:8000", "http://app.example:8000"): 101,
    ("app.example:80", "http://app.example"): 101,
    ("APP.example", "http://app.example"): 101,
    ("app.example.", "http://app.example."): 101,
    ("app.example", "http://app.example."): 403,
    ("[::1]:8000", "http://[::1]:8000"): 101,
    ("127.0.0.1:8000", "http://localhost:8000"): 403,
    ("", "http://"): 403,
    ("", "http://app.example"): 403,
}


@pytest.mark.engines
async def test_the_host_is_the_one_that_was_asked_for(settings: TestSettings, serving: Serving) -> None:
    handshakes = [[("Host", host), origin(page), *VICTIM] for host, page in ASKED_FOR]

    answers = await ask(settings, serving, *handshakes)

    assert dict(zip(ASKED_FOR, statuses(answers), strict=True)) == ASKED_FOR


@pytest.mark.engines
async def test_every_socket_is_held_to_it(settings: TestSettings, serving: Serving) -> None:
    async with opened(settings(), socket_routes.feature) as app, serving(app) as client:
        paths = [f"/sockets/{name}" for name in ("public", "user", "operations")]
        answers = [await answer_to(place_of(client), path, EVIL, *TOKEN) for path in paths]

    assert statuses(answers) == [403] * 3
