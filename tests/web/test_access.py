"""One line and one count for each request: what was asked and how it ended, and nothing that a request brings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from uuid import UUID

import httpx
import pytest
from quart import request
from structlog.testing import capture_logs
from structlog.typing import EventDict

from app.core.lifecycle import Lifecycle
from app.web import PROBE, PUBLIC, SIGNED_IN, Application, Caller, endpoint
from app.web.access import AccessLog
from app.web.audience import Audiences
from app.web.proxies import TrustedProxies
from app.web.recovery import Recovery
from app.web.request_ids import RequestIds
from tests.harness.waiting import eventually
from tests.web.conftest import Serving

pytestmark = pytest.mark.engines


@dataclass
class Counted:
    """An observer that remembers."""

    running: int = 0
    ended_with: list[tuple[str, str | None, int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def began(self) -> None:
        self.running += 1

    def ended(self, method: str, route: str | None, status: int, seconds: float) -> None:
        self.running -= 1
        self.ended_with.append((method, route, status))
        self.seconds.append(seconds)


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def application(counted: Counted) -> Application:
    app = Application("app", request_timeout=5, lifecycle=Lifecycle())
    layers = AccessLog(Recovery(app.asgi_app), observer=counted)
    app.asgi_app = RequestIds(TrustedProxies(layers, networks=()))  # type: ignore[method-assign]

    @app.route("/notes/<note>", methods=["GET", "POST"])
    @endpoint(PUBLIC)
    async def note(note: str) -> str:
        await request.get_data()
        return note

    @app.get("/fails/<int:status>")
    @endpoint(PUBLIC)
    async def fail(status: int) -> tuple[str, int]:
        return "failed", status

    @app.get("/probe/<int:status>")
    @endpoint(PROBE)
    async def probe(status: int) -> tuple[str, int]:
        return "probed", status

    return app


def lines(logs: list[EventDict]) -> list[EventDict]:
    return [{**line} for line in logs if line["event"] == "request"]


async def test_a_request_is_one_line(application: Application, serving: Serving, counted: Counted) -> None:
    with capture_logs() as logs:
        async with serving(application) as client:
            await client.get("/notes/seven?page=2")

    (line,) = lines(logs)
    duration = line.pop("duration_ms")
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/notes/<note>",
        "status": 200,
        "bytes": len("seven"),
        "client": "127.0.0.1",
    }
    assert duration == round(duration, 3)
    assert counted.ended_with == [("GET", "/notes/<note>", 200)]
    assert counted.seconds[0] * 1000 == pytest.approx(duration, abs=0.001)
    assert counted.running == 0


async def test_nothing_that_a_request_brings_is_logged(application: Application, serving: Serving) -> None:
    headers = dict.fromkeys(["Authorization", "Cookie", "User-Agent", "Referer", "X-Forwarded-For"], "canary")

    with capture_logs() as logs:
        async with serving(application) as client:
            await client.post("/notes/canary?token=canary", headers=headers, json={"password": "canary"})

    assert len(lines(logs)) == 1
    assert "canary" not in str(logs)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("/nowhere?token=secret", "/nowhere"),
        ("/%1b[31m%0a", "/%1b[31m%0a"),
        ("/" + "x/" * 250, "/" + "x/" * 99 + "x"),
        ("/keys/pk_live_k3J9xQ2a_" + "Zz9" * 15, "/keys/***"),
        ("/keys/01a2006e-026a-7aae-9e09-858775d9772b", "/keys/01a2006e-026a-7aae-9e09-858775d9772b"),
        ("http://user:secret@host/nowhere", "host/nowhere"),
    ],
)
async def test_an_address_without_a_route_is_shown_as_it_came(
    application: Application, serving: Serving, target: str, shown: str
) -> None:
    with capture_logs() as logs:
        async with serving(application) as client:
            await client.request("GET", "/", extensions={"target": target.encode()})

    (line,) = lines(logs)
    assert (line["route"], line["path"], line["status"]) == (None, shown, 404)


@pytest.mark.parametrize(("status", "level"), [(200, "info"), (404, "info"), (500, "warning"), (503, "warning")])
async def test_a_failure_of_ours_is_a_warning(
    application: Application, serving: Serving, status: int, level: str
) -> None:
    with capture_logs() as logs:
        async with serving(application) as client:
            await client.get(f"/fails/{status}")

    (line,) = lines(logs)
    assert (line["status"], line["log_level"]) == (status, level)


@pytest.mark.parametrize(("status", "logged"), [(200, 0), (503, 0), (500, 1)])
async def test_a_probe_is_counted_and_not_logged_unless_it_breaks(
    application: Application, serving: Serving, counted: Counted, status: int, logged: int
) -> None:
    with capture_logs() as logs:
        async with serving(application) as client:
            await client.get(f"/probe/{status}")

    assert len(lines(logs)) == logged
    assert counted.ended_with == [("GET", "/probe/<int:status>", status)]


async def test_the_answer_to_head_has_no_bytes(application: Application, serving: Serving) -> None:
    with capture_logs() as logs:
        async with serving(application) as client:
            await client.head("/notes/seven")

    assert [(line["method"], line["bytes"]) for line in lines(logs)] == [("HEAD", 0)]


async def test_a_wrong_method_is_logged_under_the_route_that_is_there(
    application: Application, serving: Serving
) -> None:
    with capture_logs() as logs:
        async with serving(application) as client:
            await client.delete("/notes/seven")

    (line,) = lines(logs)
    assert (line["method"], line["route"], line["status"]) == ("DELETE", "/notes/<note>", 405)
    assert "seven" not in str(line)


async def test_a_stream_is_logged_when_it_has_ended(application: Application, serving: Serving) -> None:
    more = asyncio.Event()

    @application.get("/stream")
    @endpoint(PUBLIC)
    async def stream() -> AsyncGenerator[bytes, None]:
        async def parts() -> AsyncGenerator[bytes, None]:
            yield b"first"
            await more.wait()
            yield b"second"

        return parts()

    with capture_logs() as logs:
        async with serving(application) as client, client.stream("GET", "/stream") as answer:
            parts = answer.aiter_bytes()
            first = await anext(parts)
            before = lines(logs)
            more.set()
            rest = b"".join([part async for part in parts])

    assert (first, rest) == (b"first", b"second")
    assert before == []
    assert [line["bytes"] for line in lines(logs)] == [11]


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_client_that_leaves_is_one_line_without_a_made_up_status(
    application: Application, serving: Serving, counted: Counted, streaming: bool
) -> None:
    begun = asyncio.Event()

    async def forever() -> AsyncGenerator[bytes, None]:
        yield b"first"
        begun.set()
        await asyncio.Event().wait()

    @application.get("/endless")
    @endpoint(PUBLIC)
    async def endless() -> AsyncGenerator[bytes, None]:
        if not streaming:
            begun.set()
            await asyncio.Event().wait()
        return forever()

    with capture_logs() as logs:
        async with serving(application) as client:
            asking = asyncio.create_task(client.get("/endless"))
            await begun.wait()
            assert counted.running == 1
            asking.cancel()
            await eventually(lambda: lines(logs), within=5)

    (line,) = lines(logs)
    assert (line["status"], line["outcome"], line["log_level"]) == (200 if streaming else None, "disconnected", "info")
    assert line["bytes"] == (len("first") if streaming else 0)
    assert counted.ended_with == [("GET", "/endless", 200 if streaming else 0)]
    assert counted.running == 0


async def test_a_caller_is_named_where_the_route_asked_who_it_is(application: Application, serving: Serving) -> None:
    async def authenticate(*_: object) -> Caller:
        return Caller(id="0198c0de-1111-7222-8333-444455556666")

    application.gates = (Audiences(authenticate, operations=()),)
    application.resources = object()  # type: ignore[assignment]  # handed to the authenticator above, and not used

    @application.get("/mine")
    @endpoint(SIGNED_IN)
    async def mine() -> str:
        return "mine"

    with capture_logs() as logs:
        async with serving(application) as client:
            await client.get("/mine", headers={"Authorization": "Bearer canary"})
            await client.get("/notes/seven")

    assert [line.get("caller") for line in lines(logs)] == ["0198c0de-1111-7222-8333-444455556666", None]


INSANE = [[""], ["short"], ["x" * 65], ["with space"], ["caf\xe9-caf\xe9"], ["tab\there"], ["one-of-two", "two-of-two"]]


@pytest.mark.parametrize("values", INSANE)
async def test_an_id_that_could_forge_or_fill_a_line_is_replaced(
    application: Application, serving: Serving, values: list[str]
) -> None:
    async with serving(application) as client:
        answer = await client.get(
            "/notes/seven", headers=[(b"x-request-id", value.encode("latin1")) for value in values]
        )

    assert UUID(answer.headers["x-request-id"]).version == 7


async def test_a_sane_id_is_taken_over(application: Application, serving: Serving) -> None:
    async with serving(application) as client:
        answer: httpx.Response = await client.get("/notes/seven", headers={"X-Request-Id": "trace-0001"})

    assert answer.headers.get_list("x-request-id") == ["trace-0001"]
