"""Where an answer ends, for whom: said by its length, by chunks, by the end of the connection, or by having no body."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from quart import Quart, Response

from app.web import Application
from tests.hostile.case import head, kept
from tests.hostile.test_corpus import address_of
from tests.web import conftest as web
from tests.web.conftest import Serving

application, serving = web.application, web.serving

END = b"\r\n\r\n"
PARTS = (b"one", b"two", b"three")


def _routes(app: Quart) -> None:
    @app.get("/stream")
    async def stream() -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for part in PARTS:
                yield part

        return Response(parts())

    @app.get("/whole")
    async def whole() -> str:
        return "whole"

    @app.get("/nothing")
    async def nothing() -> Response:
        return Response(status=204)

    @app.get("/unchanged")
    async def unchanged() -> Response:
        answer = Response(status=304)
        answer.headers["Content-Length"] = "5"  # of what would have been sent
        return answer


async def _said(address: tuple[str, int], sent: bytes) -> bytes:
    """All that comes back until the server closes."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(sent)
    async with asyncio.timeout(20):
        said = await reader.read()
    writer.close()
    return said


async def _asked(application: Application, serving: Serving, sent: bytes) -> list[bytes]:
    """Heads and bodies in turn."""
    _routes(application)
    async with serving(application) as client:
        said = await _said(address_of(str(client.base_url)), sent)
    return said.lower().split(END)


@pytest.mark.engines
async def test_a_stream_goes_out_in_chunks(application: Application, serving: Serving) -> None:
    answer, body, *_ = await _asked(application, serving, head(target="/stream"))

    assert b"transfer-encoding: chunked" in answer
    assert body == b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0"


@pytest.mark.engines
async def test_whoever_speaks_http_1_0_reads_a_stream_to_the_end_of_the_connection(
    application: Application, serving: Serving
) -> None:
    answer, body = await _asked(application, serving, head(target="/stream", version="HTTP/1.0"))

    assert b"transfer-encoding" not in answer
    assert b"connection: close" in answer
    assert body == b"onetwothree"


@pytest.mark.engines
@pytest.mark.parametrize("target", ["/stream", "/whole"])
async def test_an_answer_to_head_ends_with_its_head(application: Application, serving: Serving, target: str) -> None:
    first, second, body = await _asked(application, serving, kept(target, method="HEAD") + head(target="/whole"))

    assert first.startswith(b"http/1.1 200")
    assert second.startswith(b"http/1.1 200")
    assert body == b"whole"


@pytest.mark.engines
@pytest.mark.parametrize(("target", "status"), [("/nothing", b"204"), ("/unchanged", b"304")])
async def test_a_status_without_a_body_leaves_the_connection_to_the_next_request(
    application: Application, serving: Serving, target: str, status: bytes
) -> None:
    first, second, body = await _asked(application, serving, kept(target) + head(target="/whole"))

    assert first.startswith(b"http/1.1 " + status)
    assert b"transfer-encoding" not in first
    assert second.startswith(b"http/1.1 200")
    assert body == b"whole"


@pytest.mark.engines
@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
async def test_who_asks_for_the_end_is_told_so(application: Application, serving: Serving, version: str) -> None:
    answer, body = await _asked(application, serving, head(target="/whole", version=version))

    assert b"connection: close" in answer
    assert body == b"whole"


@asynccontextmanager
async def _stock_uvicorn() -> AsyncIterator[tuple[str, int]]:
    app = Quart(__name__)
    _routes(app)
    server = uvicorn.Server(uvicorn.Config(app, http="httptools", ws="none", log_config=None))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server._serve([listener]))  # without its signals
        yield listener.getsockname()
        server.should_exit = True
        await serving


async def test_control_stock_uvicorn_sends_chunks_to_who_does_not_know_them() -> None:
    async with _stock_uvicorn() as address:
        said = await _said(address, head(target="/stream", version="HTTP/1.0"))

    assert b"transfer-encoding: chunked" in said.lower()
