"""Section `server`."""

from __future__ import annotations

import asyncio
import os
import socket
from urllib.parse import urlsplit

import httpx
import psutil
from quart import Blueprint

from app.core.lifecycle import Lifecycle
from app.feature import Feature
from app.features import health
from app.server.app import create_app
from app.web import PUBLIC, endpoint
from tests.effects.case import Trial, Values, limits, shows
from tests.effects.starting import Served, serving, started
from tests.harness.ports import kept_ports
from tests.harness.settings import TestSettings

ANY_PORT = "server.port=0"


@shows("server.host", {"127.0.0.1": "127.0.0.1", "127.0.0.2": "127.0.0.2"})
async def the_address_that_answers(trial: Trial) -> str:
    async with serving(trial.settings(ANY_PORT), health.feature) as served:
        return (await _live(served)).url.host


def two_free_ports(_: TestSettings) -> Values:
    return {str(port): port for port in kept_ports(2)}


@shows("server.port", two_free_ports)
async def the_port_that_answers(trial: Trial) -> int | None:
    async with serving(trial.settings(), health.feature) as served:
        return (await _live(served)).url.port


async def _live(served: Served) -> httpx.Response:
    async with httpx.AsyncClient(base_url=served.url) as client:
        return (await client.get("/health/live")).raise_for_status()


@shows("server.backlog", {"7": 7, "19": 19})
async def the_kernel_keeps_as_many_waiting(trial: Trial) -> int:
    async with serving(trial.settings(ANY_PORT)) as served:
        port = urlsplit(served.url).port
        sockets = psutil.Process().net_connections("tcp")
        (fd, *_) = (each.fd for each in sockets if each.laddr.port == port and each.status == psutil.CONN_LISTEN)
        with socket.socket(fileno=os.dup(fd)) as listener:
            # Of a listening socket, the kernel gives the longest queue as `tcpi_sacked`.
            return int.from_bytes(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[28:32], "little")


class Slow:
    """A route that answers when it is released."""

    def __init__(self) -> None:
        self.arrived, self.released = asyncio.Event(), asyncio.Event()
        routes = Blueprint("slow", __name__)
        self.feature = Feature("slow", (routes,))

        @routes.get("/slow")
        @endpoint(PUBLIC)
        async def answer() -> str:
            self.arrived.set()
            await self.released.wait()
            return "done"


@limits("server.request_timeout")
async def a_handler_that_never_ends_is_answered(trial: Trial) -> None:
    app = create_app(trial.settings(), [Slow().feature], lifecycle=Lifecycle())

    answer = await app.test_client().get("/slow")

    assert answer.status_code == 408


@limits("server.keep_alive_timeout")
async def an_idle_connection_is_kept(trial: Trial) -> None:
    async with serving(trial.settings(ANY_PORT), health.feature) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(served.url).port)
        try:
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: test\r\n\r\n")
            await reader.readuntil(b'{"status":"ok"}')
            assert await reader.read() == b""
        finally:
            writer.close()


@limits("server.shutdown_timeout")
async def a_stop_lets_a_request_run(trial: Trial) -> None:
    slow = Slow()
    async with serving(trial.settings(ANY_PORT), slow.feature) as served, httpx.AsyncClient(timeout=90) as client:
        asking = asyncio.create_task(client.get(f"{served.url}/slow"))
        await slow.arrived.wait()
        served.stop.set()
        try:
            assert (await asking).status_code == 503
        finally:
            slow.released.set()


@limits("server.drain_delay", short="0")
async def a_stop_leaves_the_doors_open(trial: Trial) -> None:
    async with serving(trial.settings(ANY_PORT)) as served:
        served.stop.set()
        await served.ended


@shows("server.max_in_flight", {"1": 503, "2": 200})
async def a_second_request_meanwhile(trial: Trial) -> int:
    slow = Slow()
    async with serving(trial.settings(ANY_PORT), slow.feature) as served, httpx.AsyncClient() as client:
        first = asyncio.create_task(client.get(f"{served.url}/slow"))
        await slow.arrived.wait()
        slow.arrived.clear()
        second = asyncio.create_task(client.get(f"{served.url}/slow"))
        arrived = asyncio.create_task(slow.arrived.wait())
        await asyncio.wait([second, arrived], return_when=asyncio.FIRST_COMPLETED)
        arrived.cancel()
        slow.released.set()
        await first
        return (await second).status_code


@shows("server.engine", {"hypercorn": "", "uvicorn": "OK"})
async def what_an_answer_says_behind_its_number(trial: Trial) -> str:
    async with serving(trial.settings(ANY_PORT), health.feature) as served:
        return (await _live(served)).reason_phrase


@shows("server.event_loop", {"asyncio": False, "uvloop": True})
def it_runs_on_uvloop(trial: Trial) -> bool:
    return started(trial.settings(ANY_PORT)).loop.__module__.startswith("uvloop")


@shows("server.cors_origins", {"https://shop.example": "https://shop.example", "https://other.example": None})
async def a_page_of_the_shop_may_call(trial: Trial) -> str | None:
    app = create_app(trial.settings(), [health.feature], lifecycle=Lifecycle())

    answer = await app.test_client().get("/health/live", headers={"Origin": "https://shop.example"})

    return answer.headers.get("Access-Control-Allow-Origin")


@shows("server.trusted_proxies", {"127.0.0.1": "max-age=31536000; includeSubDomains", "10.0.0.0/8": None})
async def a_proxy_here_is_believed_to_speak_tls(trial: Trial) -> str | None:
    async with serving(trial.settings(ANY_PORT), health.feature) as served, httpx.AsyncClient() as client:
        answer = await client.get(f"{served.url}/health/live", headers={"X-Forwarded-Proto": "https"})

    said: str | None = answer.headers.get("Strict-Transport-Security")
    return said
