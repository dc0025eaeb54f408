"""One request in the task that the server gives it: listened for while its handler waits, and left alone after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from quart import Response, request

from app.web import Application, connection
from app.web.connection import Listening

ENDED = {"type": "http.request", "body": b"", "more_body": False}
GONE = {"type": "http.disconnect"}
LENGTH = (b"content-length", b"0")


class Server:
    """One request as a server hands it over; `leave` is the client's going away."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.asked = 0
        self._gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        if self.asked == 1:
            return ENDED
        await self._gone.wait()
        return GONE

    async def send(self, event: Any) -> None:
        self.sent.append(event)

    def leave(self) -> None:
        self._gone.set()

    def serve(self, app: Application, path: str, *headers: tuple[bytes, bytes]) -> Coroutine[Any, Any, None]:
        scope: Any = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"tested"), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": {},
            "extensions": {},
        }
        receive: Any = self.receive
        return app(scope, receive, self.send)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def app(application: Application) -> Application:
    application.request_timeout = 30

    @application.get("/at-once")
    async def at_once() -> Response:
        return Response(b"done")

    @application.get("/waits")
    async def waits() -> str:
        application.extensions["waiting"].set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            application.extensions["cancelled"].set()
            raise
        return "never"

    application.extensions |= {"waiting": asyncio.Event(), "cancelled": asyncio.Event()}
    return application


async def test_an_answer_of_one_part_is_two_events_in_one_task(app: Application, server: Server) -> None:
    before = asyncio.all_tasks()

    await server.serve(app, "/at-once")

    assert [event["type"] for event in server.sent] == ["http.response.start", "http.response.body"]
    assert server.sent[1]["body"] == b"done"
    assert server.sent[1]["more_body"] is False
    assert server.asked == 0, "a handler that does not wait is not listened for"
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("header", "is_asked"), [((b"x-header", b"1"), False), (LENGTH, True), ((b"transfer-encoding", b"chunked"), True)]
)
async def test_a_handler_that_hardly_waits_is_listened_for_where_a_body_may_come(
    app: Application, server: Server, header: tuple[bytes, bytes], is_asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LISTEN_AFTER", 60)

    @app.get("/hardly-waits")
    async def hardly_waits() -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        return "done"

    await server.serve(app, "/hardly-waits", header)

    assert bool(server.asked) is is_asked


async def test_that_there_is_no_body_is_known_without_listening(
    app: Application, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LISTEN_AFTER", 60)

    @app.get("/reads")
    async def reads() -> dict[str, int]:
        return {"bytes": len(await request.get_data())}

    async with asyncio.timeout(20):
        await server.serve(app, "/reads")

    assert server.sent[1]["body"] == b'{"bytes":0}\n'
    assert server.asked == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_the_body_of_a_test_client_is_read_though_no_header_tells_of_it(app: Application, method: str) -> None:
    told: set[str] = set()

    @app.route("/reads", methods=[method])
    async def reads() -> dict[str, Any]:
        told.update(request.headers.keys())
        return {"given": await request.get_json()}

    answer = await app.test_client().open("/reads", method=method, json=[1, 2])

    assert await answer.get_json() == {"given": [1, 2]}
    assert not {"content-length", "transfer-encoding"} & {name.lower() for name in told}


@pytest.mark.parametrize("headers", [(), (LENGTH,)])
async def test_a_client_that_leaves_ends_the_handler_and_nothing_around_it(
    app: Application, server: Server, headers: tuple[tuple[bytes, bytes], ...]
) -> None:
    around = asyncio.current_task()
    serving = server.serve(app, "/waits", *headers)
    app_waits = asyncio.create_task(app.extensions["waiting"].wait())
    app_waits.add_done_callback(lambda _: server.leave())

    await serving

    assert app.extensions["cancelled"].is_set()
    assert around is not None
    assert around.cancelling() == 0
    await asyncio.sleep(0)  # nothing is left that would arrive here
    assert not server.sent


async def test_a_server_that_cancels_is_obeyed(app: Application, server: Server) -> None:
    serving = asyncio.create_task(server.serve(app, "/waits"))
    await app.extensions["waiting"].wait()
    before = asyncio.all_tasks() - {serving}

    serving.cancel()
    await asyncio.wait({serving})

    assert serving.cancelled()
    assert app.extensions["cancelled"].is_set()
    assert asyncio.all_tasks() <= before


class Stalled(Server):
    """Takes the head, and nothing more."""

    async def send(self, event: Any) -> None:
        if self.sent:
            await asyncio.Event().wait()
        await super().send(event)


@pytest.mark.parametrize(("all_have", "this_has"), [(0.05, ...), (60, 0.05), (None, 0.05)])
async def test_an_answer_that_is_not_taken_in_time_is_given_up(
    app: Application, all_have: float | None, this_has: Any
) -> None:
    app.config["RESPONSE_TIMEOUT"] = all_have
    server, around = Stalled(), asyncio.current_task()

    @app.get("/timed")
    async def timed() -> Response:
        response = Response(b"done")
        response.timeout = this_has
        return response

    async with asyncio.timeout(10):
        await server.serve(app, "/timed")

    assert [event["type"] for event in server.sent] == ["http.response.start"]
    assert around is not None
    assert around.cancelling() == 0


@pytest.mark.parametrize(("all_have", "this_has"), [(0.05, None), (None, ...)])
async def test_an_answer_without_a_limit_waits_for_its_client(
    app: Application, server: Server, all_have: float | None, this_has: Any
) -> None:
    app.config["RESPONSE_TIMEOUT"] = all_have

    @app.get("/timed")
    async def timed() -> Response:
        async def parts() -> AsyncIterator[bytes]:
            await asyncio.sleep(0.2)
            yield b"done"

        response = Response(parts())
        response.timeout = this_has
        return response

    await server.serve(app, "/timed")

    assert b"".join(event.get("body", b"") for event in server.sent) == b"done"


async def _returns() -> None: ...


async def _fails() -> None:
    raise RuntimeError("canary")


@pytest.mark.parametrize("listen", [_returns, _fails])
@pytest.mark.parametrize("turns", range(5))
async def test_news_that_comes_with_the_end_of_the_handler_cancels_nothing_after_it(
    listen: Callable[[], Coroutine[None, None, None]], turns: int
) -> None:
    """Before the listener begins, while it runs, while the cancellation is on its way, and when it has arrived."""
    failed = False
    try:
        async with Listening(listen):
            for _ in range(turns):
                await asyncio.sleep(0)
    except RuntimeError:
        failed = True

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # nor does it arrive later
    assert failed is (listen is _fails and turns > 1)


async def test_a_handler_that_ends_before_the_listener_begins_leaves_nothing(recwarn: pytest.WarningsRecorder) -> None:
    begun = False

    async def listen() -> None:
        nonlocal begun
        begun = True

    async with Listening(listen):
        pass
    await asyncio.sleep(0)

    assert not begun
    assert not recwarn.list
