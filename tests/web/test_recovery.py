"""Whatever is raised around a handler ends one request: with a 500 where that is possible, and else cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Quart, Response, websocket
from structlog.testing import capture_logs
from structlog.typing import EventDict
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from app.web import Application
from app.web.access import AccessLog
from app.web.recovery import Recovery
from app.web.request_ids import RequestIds
from tests.web.conftest import Serving

PANIC = {"error": "Something went wrong on our side.", "code": "PANIC"}
RAISED = [RuntimeError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
each_kind = pytest.mark.parametrize("kind", RAISED)

Raising = Callable[[], Awaitable[None]]


@pytest.fixture
def application(application: Application) -> Application:
    """One with the layers that recover, and a route to see that the server lives."""
    inside = application.asgi_app

    async def broken(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await application.config.get("LAYER", inside)(scope, receive, send)

    application.asgi_app = RequestIds(AccessLog(Recovery(broken)))  # type: ignore[method-assign]

    @application.get("/fine")
    async def fine() -> str:
        return "fine"

    return application


def layer(application: Application, make: Callable[[ASGIFramework], ASGIFramework]) -> None:
    """Put a faulty layer between Recovery and Quart, for every address but /fine."""
    inside = Quart.asgi_app.__get__(application)

    async def faulty(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        app = inside if scope["type"] == "lifespan" or scope["path"] == "/fine" else make(inside)
        await app(scope, receive, send)

    application.config["LAYER"] = faulty


def named(logs: list[EventDict], event: str) -> list[EventDict]:
    return [line for line in logs if line["event"] == event]


def assert_panic(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()) == (500, PANIC)
    assert answer.headers["x-request-id"]


@pytest.mark.engines
@each_kind
async def test_a_layer_that_raises_is_one_500_and_the_server_lives(
    application: Application, serving: Serving, kind: type[BaseException]
) -> None:
    def make(_: ASGIFramework) -> ASGIFramework:
        async def raising(*_: object) -> None:
            raise kind("canary")

        return raising

    layer(application, make)

    with capture_logs() as logs:
        async with serving(application) as client:
            answer = await client.get("/")
            after = await client.get("/fine")

    assert_panic(answer)
    assert after.text == "fine"
    (panic,) = named(logs, "panic")
    assert isinstance(panic["exc_info"], kind)
    assert [line["status"] for line in named(logs, "request")] == [500, 200]
    assert not [line for line in logs if line["log_level"] == "critical"]


@pytest.mark.engines
@each_kind
@pytest.mark.parametrize("during", ["send", "receive"])
async def test_a_layers_wrapper_that_raises_is_one_500(
    application: Application, serving: Serving, kind: type[BaseException], during: str
) -> None:
    def make(app: ASGIFramework) -> ASGIFramework:
        async def raising(*_: object) -> Any:
            raise kind("canary")

        async def wrapping(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            await app(scope, raising if during == "receive" else receive, raising if during == "send" else send)

        return wrapping

    layer(application, make)

    @application.get("/")
    async def answer_late() -> str:
        if during == "receive":
            await asyncio.Event().wait()
        return "late"

    application.request_timeout = 30
    with capture_logs() as logs:
        async with serving(application) as client:
            answer = await client.get("/")
            after = await client.get("/fine")

    assert_panic(answer)
    assert after.text == "fine"
    assert len(named(logs, "panic")) == 1


@pytest.mark.engines
@pytest.mark.parametrize(
    "headers", [{"X-Bad": "\0"}, {"X-Bad": "\ud800"}, {"Bad Name": "x"}, {"Content-Length": "many"}]
)
async def test_an_answer_that_cannot_be_written_is_one_500(
    application: Application, serving: Serving, headers: dict[str, str]
) -> None:
    @application.get("/")
    async def fail() -> tuple[str, dict[str, str]]:
        return "text", headers

    with capture_logs() as logs:
        async with serving(application) as client:
            answer = await client.get("/")
            after = await client.get("/fine")

    assert_panic(answer)
    assert after.text == "fine"
    assert len(named(logs, "panic")) == 1


@pytest.mark.engines
async def test_a_cancelled_connection_is_nobodys_panic(application: Application, serving: Serving) -> None:
    started = asyncio.Event()

    @application.get("/")
    async def wait() -> str:
        started.set()
        await asyncio.Event().wait()
        return "never"

    application.request_timeout = 30
    with capture_logs() as logs:
        async with serving(application) as client:
            asking = asyncio.create_task(client.get("/"))
            await started.wait()
            asking.cancel()
            await asyncio.wait({asking})
            assert (await client.get("/fine")).text == "fine"

    assert asking.cancelled()
    assert not named(logs, "panic")
    assert not named(logs, "stream_failed")


@pytest.mark.engines
@pytest.mark.parametrize("kind", [*RAISED, TimeoutError])
async def test_a_stream_that_breaks_is_logged_and_taken_for_whole_by_nobody(
    application: Application, serving: Serving, kind: type[BaseException]
) -> None:
    @application.get("/")
    async def stream() -> AsyncGenerator[bytes, None]:
        async def parts() -> AsyncGenerator[bytes, None]:
            yield b"first"
            raise kind("canary")

        return parts()

    with capture_logs() as logs:
        async with serving(application) as client:
            with pytest.raises(httpx.TransportError):
                await client.get("/", headers={"X-Request-Id": "broken-stream"})
            after = await client.get("/fine")

    assert after.text == "fine"
    (failed,) = named(logs, "stream_failed")
    error = failed["exc_info"]
    assert isinstance(error, kind) or isinstance(error.__cause__, kind)
    assert failed["sent"] == len("first")
    (request, _) = named(logs, "request")
    assert (request["status"], request["outcome"], request["log_level"]) == (200, "broken", "warning")


@pytest.mark.engines
@pytest.mark.parametrize("http", ["1.0", "1.1"])
async def test_a_client_that_reads_to_the_end_of_the_connection_sees_it_reset(
    application: Application, serving: Serving, http: str
) -> None:
    going = asyncio.Event()

    @application.get("/")
    async def stream() -> AsyncGenerator[bytes, None]:
        async def parts() -> AsyncGenerator[bytes, None]:
            yield b"first"
            await going.wait()
            raise RuntimeError("canary")

        return parts()

    async with serving(application) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(f"GET / HTTP/{http}\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"first")
        going.set()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


@pytest.mark.engines
@each_kind
@pytest.mark.parametrize("teardown", ["teardown_request", "teardown_appcontext"])
async def test_a_teardown_function_that_raises_changes_no_answer(
    application: Application, serving: Serving, kind: type[BaseException], teardown: str
) -> None:
    ran = []

    async def raising(_: BaseException | None) -> None:
        ran.append("raising")
        raise kind("canary")

    async def other(_: BaseException | None) -> None:
        ran.append("other")

    for function in (other, raising, other):
        getattr(application, teardown)(function)

    with capture_logs() as logs:
        async with serving(application) as client:
            answer = await client.get("/fine")

    assert (answer.status_code, answer.text) == (200, "fine")
    # The start and the end of the server have a context of the application, too.
    contexts = 1 if teardown == "teardown_request" else 3
    assert ran == ["other", "raising", "other"] * contexts
    failures = named(logs, "teardown_failed")
    assert len(failures) == contexts
    assert all(isinstance(failed["exc_info"], kind) for failed in failures)


@pytest.mark.engines
@pytest.mark.parametrize("kind", [kind for kind in RAISED if kind is not asyncio.CancelledError])
async def test_a_hook_after_the_request_that_raises_takes_no_header_from_the_others(
    application: Application, serving: Serving, kind: type[BaseException]
) -> None:
    @application.after_request
    async def last(response: Response) -> Response:
        response.headers["X-Last"] = "ran"
        return response

    @application.after_request
    async def raising(_: Response) -> Response:
        raise kind("canary")

    @application.after_request
    async def first(response: Response) -> Response:
        response.headers["X-First"] = "ran"
        return response

    with capture_logs() as logs:
        async with serving(application) as client:
            answer = await client.get("/fine")

    assert_panic(answer)
    assert answer.headers["x-last"] == "ran"
    assert len(named(logs, "panic")) == 1


@pytest.mark.engines
async def test_a_websocket_handler_that_exits_does_not_end_the_server(
    application: Application, serving: Serving
) -> None:
    @application.websocket("/socket")
    async def leave() -> None:
        await websocket.accept()
        raise SystemExit(3)

    with capture_logs() as logs:
        async with serving(application) as client:
            address = f"ws://{client.base_url.host}:{client.base_url.port}/socket"
            with pytest.raises(ConnectionClosed) as closed:
                async with connect(address, proxy=None) as socket:
                    await socket.recv()
            after = await client.get("/fine")

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1011
    assert after.text == "fine"
    assert len(named(logs, "websocket_failed")) == 1


class Stock(Application):
    """The same application on Quart's own classes: what the containment is for."""

    asgi_http_class = Quart.asgi_http_class  # type: ignore[assignment]
    process_response = Quart.process_response
    do_teardown_request = Quart.do_teardown_request


async def test_the_control_stock_quart_swallows_a_streams_timeout(application: Application, serving: Serving) -> None:
    stock = Stock("app", request_timeout=5, lifecycle=application.lifecycle)

    @stock.get("/")
    async def stream() -> AsyncGenerator[bytes, None]:
        async def parts() -> AsyncGenerator[bytes, None]:
            yield b"first"
            raise TimeoutError("canary")

        return parts()

    with capture_logs() as logs:
        async with serving(stock) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/")

    assert not logs


async def test_the_control_stock_quart_loses_an_answer_to_a_teardown_function(
    application: Application, serving: Serving
) -> None:
    stock = Stock("app", request_timeout=5, lifecycle=application.lifecycle)

    @stock.get("/")
    async def fine() -> str:
        return "fine"

    @stock.teardown_request
    async def raising(_: BaseException | None) -> None:
        raise RuntimeError("canary")

    async with serving(stock) as client:
        answer = await client.get("/")

    assert answer.status_code == 500
