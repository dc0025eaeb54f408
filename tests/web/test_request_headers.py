"""A request has the headers that Quart would give it."""

from __future__ import annotations

from typing import Any

import pytest
from quart import Request
from quart.asgi import ASGIHTTPConnection

from app.web import Application
from app.web.application import Connection
from app.web.request_headers import NAMES, headers_of

Pairs = list[tuple[bytes, bytes]]


def _requests(app: Application, headers: Pairs, **others: object) -> tuple[Request, Request]:
    """Of Quart's making, and of ours."""
    scope: Any = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/there",
        "raw_path": b"/there",
        "query_string": b"a=b",
        "headers": headers,
        "client": ("192.0.2.1", 1),
        "server": ("127.0.0.1", 80),
        **others,
    }

    async def send(_event: object) -> None: ...

    stock, ours = ASGIHTTPConnection(app, scope), Connection(app, scope)
    return stock._create_request_from_scope(send), ours._create_request_from_scope(send)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"api.example"), (b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-for", b"10.0.0.2")],
        [(b"cookie", b"a=b; c=\xe4\xff"), (b"x_odd.name", b""), (b"content-length", b"12")],
    ],
)
async def test_they_are_what_quart_makes_of_them(application: Application, headers: Pairs) -> None:
    stock, ours = _requests(application, headers)

    assert list(ours.headers) == list(stock.headers)
    assert ours.headers.getlist("X-Forwarded-For") == stock.headers.getlist("x-forwarded-for")
    assert (ours.remote_addr, ours.content_length) == (stock.remote_addr, stock.content_length)
    assert vars(ours.headers).keys() == vars(stock.headers).keys()


@pytest.mark.parametrize(
    "others",
    [
        {"http_version": "1.0"},
        {"root_path": "/below", "path": "/below/there"},
        {"path": "http://api.example/there"},
        {"client": None},
        {"root_path": "", "http_version": "2"},
    ],
    ids=str,
)
async def test_so_is_the_rest_of_the_request(application: Application, others: dict[str, object]) -> None:
    stock, ours = _requests(application, [(b"accept", b"*/*")], **others)

    for name in ("method", "scheme", "path", "root_path", "query_string", "http_version", "url", "remote_addr"):
        assert getattr(ours, name) == getattr(stock, name), name
    assert list(ours.headers) == list(stock.headers)
    assert ours.max_content_length == stock.max_content_length


async def test_they_can_be_changed(application: Application) -> None:
    _, ours = _requests(application, [(b"accept", b"*/*")])

    ours.headers["Accept"] = "text/csv"
    ours.headers.add("X-More", "1")

    assert list(ours.headers) == [("Remote-Addr", "192.0.2.1"), ("Accept", "text/csv"), ("X-More", "1")]


def test_names_that_clients_make_up_are_not_kept_for_ever() -> None:
    made = [headers_of("", [(b"x-%d" % number, b"")]) for number in range(4 * NAMES)]

    assert [*made[-1]][1] == (f"X-{4 * NAMES - 1}", "")
    assert [*headers_of("", [(b"x-0", b"")])][1] == ("X-0", "")
