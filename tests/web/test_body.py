"""A body keeps to its limit and its deadline, whichever way it is read, and its rest is never taken for a request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import pytest
from quart import request

from app.core.lifecycle import Lifecycle
from app.web import KIB, MIB, PUBLIC, Application, endpoint
from app.web.body import WINDOW, BodyLimits, FlowingBody
from app.web.json import OrjsonProvider
from tests.harness.waiting import eventually
from tests.web.conftest import Serving
from tests.web.uploads import PART, Upload, upload

LIMIT = 100 * KIB
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
FIELD = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'


async def as_data() -> int:
    return len(await request.get_data())


async def as_stream() -> int:
    return sum([len(part) async for part in request.body])


async def as_json() -> int:
    return len(await request.get_json())


async def as_form() -> int:
    return len((await request.form)["f"])


async def as_file() -> int:
    return len((await request.files)["f"].read())


SCOPE: Any = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "scheme": "http",
    "path": "/",
    "query_string": b"",
    "headers": [(b"host", b"test"), (b"transfer-encoding", b"chunked")],
    "client": None,
}

# How each way of reading is asked for, and what stands before and behind its content.
READERS = {
    as_data: ("X: y", b"", b""),
    as_stream: ("X: y", b"", b""),
    as_json: ("Content-Type: application/json", b'"', b'"'),
    as_form: (FORM, b"f=", b""),
    as_file: (MULTIPART, FIELD, b"\r\n--b--\r\n"),
}
each_reader = pytest.mark.parametrize("read", READERS)

Read = Callable[[], Coroutine[Any, Any, int]]


@pytest.fixture
def application() -> Application:
    """One with the gate, and time enough."""
    app = Application("app", request_timeout=20, lifecycle=Lifecycle())
    app.json = OrjsonProvider(app)
    app.gates = (BodyLimits(limit=LIMIT, timeout=5),)
    return app


async def lasting(seconds: float) -> None:
    """The time under trial itself; nothing else is waited for."""
    over = asyncio.get_running_loop().time() + seconds
    await eventually(lambda: asyncio.get_running_loop().time() > over, within=seconds + 5)


def reads(app: Application, read: Read) -> list[int]:
    """Add a route that reads; the sizes of what it got."""
    got: list[int] = []

    @app.post("/")
    async def handler() -> str:
        got.append(await read())
        return "read"

    return got


@pytest.mark.engines
@each_reader
async def test_a_chunked_body_above_the_limit_is_413(application: Application, serving: Serving, read: Read) -> None:
    got, (kind, before, _) = reads(application, read), READERS[read]

    async with serving(application) as client, upload(client, "/", kind) as body:
        await body.chunk(before)
        await body.pour(2 * LIMIT)
        answer = await body.answer()

    assert (answer.status, answer.json()["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.json()["error"] == f"The body may have at most {LIMIT} bytes."
    assert answer.headers["connection"] == "close"
    assert got == []


@pytest.mark.engines
@each_reader
async def test_a_chunked_body_within_the_limit_is_read_whole(
    application: Application, serving: Serving, read: Read
) -> None:
    got, (kind, before, after) = reads(application, read), READERS[read]
    size = LIMIT - len(before) - len(after)

    async with serving(application) as client, upload(client, "/", kind) as body:
        for part in (before, b"x" * (size // 2), b"x" * (size - size // 2), after):
            await body.chunk(part)
        await body.end()
        answer = await body.answer()

    assert (answer.status, got) == (200, [size])
    assert "connection" not in answer.headers


@pytest.mark.engines
async def test_an_announced_length_above_the_limit_is_413_before_the_handler_runs(
    application: Application, serving: Serving
) -> None:
    called = []

    @application.post("/")
    async def handler() -> str:
        called.append(True)
        return "read"

    async with serving(application) as client, upload(client, "/", f"Content-Length: {LIMIT + 1}") as body:
        answer = await body.answer()
        closed = await body.closed()

    assert (answer.status, called, closed) == (413, [], True)
    assert answer.headers["connection"] == "close"


@pytest.mark.engines
async def test_a_policy_has_a_limit_of_its_own(application: Application, serving: Serving) -> None:
    @application.post("/none")
    @endpoint(PUBLIC.but(body=0))
    async def none() -> str:
        return "none"

    @application.post("/much")
    @endpoint(PUBLIC.but(body=MIB))
    async def much() -> str:
        return str(len(await request.get_data()))

    async with serving(application) as client:
        answers = [await client.post(path, content=content) for path, content in (("/none", b"x"), ("/none", b""))]
        exact, above = [await client.post("/much", content=b"x" * size) for size in (MIB, MIB + 1)]

    assert [answer.status_code for answer in answers] == [413, 200]
    assert (exact.status_code, exact.text, above.status_code) == (200, str(MIB), 413)


@pytest.mark.engines
async def test_a_client_that_sends_all_before_it_reads_gets_the_413(application: Application, serving: Serving) -> None:
    reads(application, as_data)

    async with serving(application) as client, upload(client, "/") as body:
        await body.pour(8 * MIB)
        await body.end()
        answer = await body.answer()

    assert answer.status == 413
    assert body.sent > 8 * MIB


@pytest.mark.engines
async def test_a_body_that_nobody_declares_is_ignored_within_the_limit(
    application: Application, serving: Serving
) -> None:
    @application.post("/")
    @endpoint(PUBLIC)
    async def handler() -> str:
        return "fine"

    async with serving(application) as client:
        answers = [await client.post("/", content=b"x" * size) for size in (LIMIT, LIMIT + 1, 3)]

    assert [answer.status_code for answer in answers] == [200, 413, 200]


@pytest.mark.engines
@each_reader
async def test_a_body_that_stalls_is_408(application: Application, serving: Serving, read: Read) -> None:
    application.gates = (BodyLimits(limit=LIMIT, timeout=0.1),)
    got, (kind, before, _) = reads(application, read), READERS[read]

    async with serving(application) as client, upload(client, "/", kind) as body:
        await body.chunk(before + b"x")
        answer = await body.answer()
        closed = await body.closed()

    assert (answer.status, answer.json()["code"]) == (408, "REQUEST_TIMEOUT")
    assert answer.json()["error"] == "The body of the request took too long to arrive."
    assert (answer.headers["connection"], closed, got) == ("close", True, [])


@pytest.mark.engines
async def test_a_slow_body_has_a_second_more_for_each_kib(application: Application, serving: Serving) -> None:
    application.gates = (BodyLimits(limit=LIMIT, timeout=0.1),)
    got = reads(application, as_data)

    async with serving(application) as client, upload(client, "/") as body:
        await body.chunk(b"x" * 10 * KIB)
        await lasting(0.5)  # five times the deadline of an empty body, and a twentieth of what ten KiB have earned
        await body.chunk(b"x")
        await body.end()
        answer = await body.answer()

    assert (answer.status, got) == (200, [10 * KIB + 1])


@pytest.mark.engines
async def test_only_the_wait_for_the_client_counts(application: Application, serving: Serving) -> None:
    application.gates = (BodyLimits(limit=LIMIT, timeout=0.2),)
    body_of: list[FlowingBody] = []

    @application.post("/")
    async def handler() -> str:
        assert isinstance(request.body, FlowingBody)
        body_of.append(request.body)
        async for _ in request.body:
            await lasting(0.4)
        return "read"

    async with serving(application) as client, upload(client, "/") as body:
        await body.chunk(b"x")
        await body.chunk(b"y")
        await body.end()
        answer = await body.answer()

    assert answer.status == 200
    assert body_of[0].waited < 0.2


EXPECTS = "Expect: 100-continue"


@pytest.mark.engines
async def test_a_refusal_comes_instead_of_100_continue(application: Application, serving: Serving) -> None:
    reads(application, as_data)

    @application.post("/unread")
    async def unread() -> str:
        return "unread"

    async with serving(application) as client:
        async with upload(client, "/", EXPECTS, f"Content-Length: {LIMIT + 1}") as body:
            refused = await body.reader.readline()
        async with upload(client, "/unread", EXPECTS, f"Content-Length: {LIMIT}") as body:
            answered = await body.reader.readline()

    assert refused.startswith(b"HTTP/1.1 413 ")
    assert answered.startswith(b"HTTP/1.1 200 ")


@pytest.mark.engines
@each_reader
async def test_100_continue_comes_as_soon_as_somebody_reads(
    application: Application, serving: Serving, read: Read
) -> None:
    got, (kind, before, after) = reads(application, read), READERS[read]
    content = before + b"1" + after

    async with serving(application) as client, Upload(client.base_url) as body:
        for _ in range(2):  # on the same connection
            await body.head("/", kind, EXPECTS, f"Content-Length: {len(content)}")
            assert (await body.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
            await body.send(content)
            assert (await body.answer()).status == 200

    assert got == [1, 1]


@pytest.mark.engines
async def test_what_is_left_of_a_body_is_never_the_next_request(application: Application, serving: Serving) -> None:
    asked: list[str] = []
    smuggled = b"POST /smuggled HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n"

    @application.post("/<path:name>")
    async def handler(name: str) -> str:
        asked.append(name)
        return name

    async with serving(application) as client, Upload(client.base_url) as body:
        await body.head("/unread", f"Content-Length: {len(smuggled) + 1}")
        answer = await body.answer()  # before a byte of the body is sent
        await body.send(smuggled + b"x" + smuggled.replace(b"smuggled", b"pipelined"))
        closed = await body.closed()

    assert (answer.status, answer.headers["connection"], closed) == (200, "close", True)
    assert asked == ["unread"]


@pytest.mark.engines
async def test_a_request_behind_an_unread_body_that_is_whole_is_answered(
    application: Application, serving: Serving
) -> None:
    asked: list[str] = []

    @application.post("/<path:name>")
    async def handler(name: str) -> str:
        asked.append(name)
        return name

    async with serving(application) as client, Upload(client.base_url) as body:
        head = b"POST /%b HTTP/1.1\r\nHost: test\r\nContent-Length: 19\r\n\r\nPOST / HTTP/1.1\r\n\r\n"
        await body.send(head % b"first" + head % b"second")
        answers = [await body.answer(), await body.answer()]

    assert [answer.body for answer in answers] == [b"first", b"second"]
    assert asked == ["first", "second"]


@pytest.mark.engines
@pytest.mark.parametrize("size", [0, WINDOW])
async def test_a_client_that_goes_away_behind_its_body_ends_the_handler(
    application: Application, serving: Serving, size: int
) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    @application.post("/")
    async def handler() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    async with serving(application) as client, asyncio.timeout(5):
        async with upload(client, "/", f"Content-Length: {size}") as body:
            await body.send(b"x" * size)
            await started.wait()
        await ended.wait()


async def test_a_body_that_nobody_reads_is_left_with_the_client(application: Application) -> None:
    """Beyond what the sockets hold; the server in front is driven by hand, to count."""
    taken, reading, held = 0, asyncio.Event(), asyncio.Event()
    answers: list[Any] = []

    @application.post("/")
    async def handler() -> str:
        held.set()
        await reading.wait()
        return str(sum([len(part) async for part in request.body]))

    async def receive() -> Any:
        nonlocal taken
        if taken == 10 * MIB:
            await asyncio.Event().wait()
        taken += len(PART)
        return {"type": "http.request", "body": PART, "more_body": taken < 10 * MIB}

    async def send(event: Any) -> None:
        answers.append(event)

    application.gates = (BodyLimits(limit=10 * MIB, timeout=5),)
    serving = asyncio.create_task(application(SCOPE, receive, send))
    await held.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    before = taken
    reading.set()
    await serving

    assert before <= WINDOW + len(PART)
    assert taken == 10 * MIB
    assert answers[1]["body"].decode() == str(10 * MIB)


@pytest.mark.engines
async def test_an_answer_that_breaks_off_beside_an_unread_body_leaves_nothing_open(
    application: Application, serving: Serving
) -> None:
    @application.post("/")
    async def handler() -> AsyncGenerator[bytes, None]:
        async def broken() -> AsyncGenerator[bytes, None]:
            yield b"begun"
            raise RuntimeError

        return broken()

    async with serving(application) as client, upload(client, "/") as body:
        await body.pour(MIB)
        with pytest.raises((EOFError, ConnectionError)):
            await body.answer()

        await eventually(lambda: not [task for task in asyncio.all_tasks() if "ASGI" in repr(task)], within=10)


@pytest.mark.engines
async def test_a_body_may_be_answered_while_it_comes(application: Application, serving: Serving) -> None:
    @application.post("/")
    async def handler() -> AsyncGenerator[bytes, None]:
        body = request.body

        async def back() -> AsyncGenerator[bytes, None]:
            async for part in body:
                yield part.upper()

        return back()

    async with serving(application) as client, upload(client, "/") as body:
        await body.chunk(b"a")
        await body.reader.readuntil(b"A\r\n")
        await body.chunk(b"b")
        await body.reader.readuntil(b"B\r\n")
        await body.end()
        assert await body.reader.readuntil(b"0\r\n\r\n") == b"0\r\n\r\n"
