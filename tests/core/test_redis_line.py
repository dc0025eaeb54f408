"""Commands of many tasks over few connections, on a real Redis."""

from __future__ import annotations

import asyncio
import select
import time
from collections.abc import AsyncIterator, Callable
from socket import socketpair
from urllib.parse import urlsplit

import pytest
import uvloop
from redis import Redis as StockRedis
from redis.asyncio import Redis as Client
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisLost
from redis.exceptions import RedisError, ResponseError

from app.core.redis import bare_connection
from app.core.redis_line import DEPTH, LineLost, Lines, Value
from tests.harness.forgetting import is_forgotten
from tests.harness.proxy import open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

MOST = 3


class Opened:
    """Opens connections, and knows them."""

    def __init__(self, settings: TestSettings, *overrides: str) -> None:
        self.settings = settings(*overrides).redis
        self.connections: list[AbstractConnection] = []

    async def __call__(self) -> AbstractConnection:
        connection = bare_connection(self.settings, protocol=2)
        await connection.connect()  # type: ignore[no-untyped-call]
        self.connections.append(connection)
        return connection


@pytest.fixture
def opened(settings: TestSettings) -> Opened:
    return Opened(settings)


@pytest.fixture
async def somebody(settings: TestSettings) -> AsyncIterator[Client]:
    """Another client, whose push ends a BLPOP: Redis itself would end it later than asked, by up to 0.1 s or more."""
    async with Client.from_url(settings().redis.url.reveal()) as client:
        await client.ping()
        yield client


@pytest.fixture
async def lines(opened: Opened) -> AsyncIterator[Lines]:
    made = Lines(opened, most=MOST, timeout=30)
    yield made
    await made.close()


async def test_commands_of_many_tasks_share_a_connection(lines: Lines, opened: Opened) -> None:
    words = [f"word {number}" for number in range(DEPTH)]

    answers = await asyncio.gather(*(lines.run("ECHO", word) for word in words))

    assert answers == [word.encode() for word in words]
    assert len(opened.connections) == 1


async def test_a_connection_that_is_lost_before_it_is_taken_over_fails_at_once(settings: TestSettings) -> None:
    url = settings().redis.url.reveal()
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    async with open_proxy(address.hostname, address.port) as proxy:
        opened = Opened(settings, f"redis.url={proxy.url(url)}")

        async def lost_at_once() -> AbstractConnection:
            connection = await opened()
            proxy.cut()
            await eventually(lambda: connection._reader is not None and connection._reader.at_eof(), within=10)
            return connection

        lines = Lines(lost_at_once, most=MOST, timeout=30)
        began = time.monotonic()
        with pytest.raises(LineLost):
            await lines.run("ECHO", "x")
        took = time.monotonic() - began
        await lines.close()

    assert took < 10


async def test_there_are_no_more_connections_than_allowed(lines: Lines, opened: Opened) -> None:
    answers = await asyncio.gather(*(lines.run("BLPOP", "nothing", 0.01) for _ in range(2 * MOST * DEPTH)))

    assert set(answers) == {None}
    assert len(opened.connections) == MOST


async def test_an_error_is_its_commands_and_nobody_elses(lines: Lines, opened: Opened) -> None:
    await lines.run("SET", "word", "x")

    wrong, right = await asyncio.gather(
        lines.run("LPUSH", "word", "y"), lines.run("GET", "word"), return_exceptions=True
    )

    assert isinstance(wrong, ResponseError)
    assert right == b"x"
    assert len(opened.connections) == 1


async def test_what_cannot_be_sent_leaves_the_others_their_answers(lines: Lines, opened: Opened) -> None:
    waiting = asyncio.create_task(lines.run("ECHO", "before"))

    with pytest.raises(TypeError, match="must be str, int, float or bytes"):
        await lines.run("ECHO", object())  # type: ignore[arg-type]

    assert await waiting == b"before"
    assert await lines.run("ECHO", "after") == b"after"
    assert len(opened.connections) == 1


async def test_whoever_waits_on_a_lost_connection_is_told_and_the_next_one_is_new(lines: Lines, opened: Opened) -> None:
    id_ = await lines.run("CLIENT", "ID")
    waiting = asyncio.create_task(lines.run("BLPOP", "nothing", 0))
    await eventually(lambda: not waiting.done(), within=5)
    killer = await opened()

    await killer.send_command("CLIENT", "KILL", "ID", id_)

    with pytest.raises((RedisLost, LineLost)):
        await waiting
    assert await lines.run("CLIENT", "ID") != id_
    await killer.disconnect()


async def test_what_was_silent_is_not_asked_again_and_whoever_waits_there_goes_on(
    opened: Opened, somebody: Client
) -> None:
    lines = Lines(opened, most=MOST, timeout=1)
    await lines.run("PING")
    silent = asyncio.create_task(lines.run("BLPOP", "nothing", 0))
    await asyncio.wait({silent}, timeout=0.7)
    patient = asyncio.create_task(lines.run("ECHO", "behind it"))

    with pytest.raises(TimeoutError):
        await silent
    await somebody.rpush("nothing", "something")

    assert await lines.run("ECHO", "anew") == b"anew"
    assert await patient == b"behind it"
    assert len(opened.connections) == 2
    await eventually(lambda: not opened.connections[0].is_connected, within=5)
    await lines.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_loop_that_is_late_itself_does_not_call_redis_silent(
    opened: Opened, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        answer = runner.run(answered_while_the_loop_is_held(opened))

    assert answer == [b"list", b"word"]


async def answered_while_the_loop_is_held(opened: Opened) -> Value:
    """Held where a loop reads: asyncio reads once more before it looks at its timers, uvloop does not."""
    loop = asyncio.get_running_loop()
    lines = Lines(opened, most=MOST, timeout=0.5)
    await eventually(lambda: lines.run("PING"), within=20)  # opening one may take longer than that
    answers = opened.connections[-1]._writer.get_extra_info("socket")  # type: ignore[union-attr]
    held, holding = socketpair()

    def hold() -> None:
        loop.remove_reader(held)
        with StockRedis.from_url(opened.settings.url.reveal()) as client:
            client.rpush("list", "word")
        time.sleep(0.6)
        assert select.select([answers], [], [], 20)[0]

    with held, holding:
        loop.add_reader(held, hold)
        holding.send(b"now")
        answer = await lines.run("BLPOP", "list", 0)
    await lines.close()
    return answer


async def test_each_command_has_its_own_time_and_one_that_was_given_up_has_none(opened: Opened) -> None:
    lines = Lines(opened, most=1, timeout=0.6)
    await lines.run("PING")
    blocked = asyncio.create_task(lines.run("BLPOP", "nothing", 0))
    await asyncio.wait({blocked}, timeout=0.1)
    blocked.cancel()  # nobody waits for it any more, and what is silent behind it is silent all the same
    began = time.monotonic()
    first = asyncio.create_task(lines.run("ECHO", "first"))
    await asyncio.wait({first}, timeout=0.3)
    second = asyncio.create_task(lines.run("ECHO", "second"))

    ended = {}
    for task in (first, second):
        with pytest.raises(TimeoutError):
            await task
        ended[task] = time.monotonic() - began

    assert 0.59 <= ended[first] < ended[second]
    assert ended[second] >= 0.89
    await eventually(lambda: not opened.connections[0].is_connected, within=5)
    await lines.close()


async def test_a_command_that_was_given_up_does_not_end_the_connection(opened: Opened, somebody: Client) -> None:
    lines = Lines(opened, most=1, timeout=0.5)
    await lines.run("PING")
    given_up = asyncio.create_task(lines.run("BLPOP", "nothing", 0))
    await asyncio.wait({given_up}, timeout=0.1)
    [(_, due)] = lines._lines[0]._waiting
    given_up.cancel()
    await eventually(lambda: is_over(due, lines), within=20)

    behind_it = asyncio.create_task(lines.run("ECHO", "behind it"))
    await somebody.rpush("nothing", "something")

    assert await behind_it == b"behind it"
    assert len(opened.connections) == 1
    assert opened.connections[0].is_connected
    await lines.close()


def is_over(due: float, lines: Lines) -> bool:
    """Whether the time was over when the line last looked."""
    return asyncio.get_running_loop().time() > due and not lines._lines[0]._watching


@pytest.mark.parametrize("said", [b"nothing of Redis's\r\n", b"-NOAUTH Authentication required.\r\n"])
async def test_who_answers_otherwise_than_redis_does_is_left(settings: TestSettings, said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)
        await reader.read()  # until it is left
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        opened = Opened(settings, f"redis.url={url}")
        lines = Lines(opened, most=MOST, timeout=30)

        answers = await asyncio.gather(lines.run("PING"), lines.run("PING"), return_exceptions=True)

        assert [isinstance(each, RedisError) for each in answers] == [True, True]
        assert not opened.connections[0].is_connected
        await lines.close()


async def test_an_answer_to_nothing_ends_the_connection(lines: Lines, opened: Opened) -> None:
    await lines.run("PING")
    opened.connections[0]._writer.transport.write(b"PING\r\n")  # type: ignore[union-attr]

    await eventually(lambda: not opened.connections[0].is_connected, within=5)

    assert await lines.run("ECHO", "anew") == b"anew"
    assert len(opened.connections) == 2


async def test_the_timer_keeps_nothing_of_the_request_that_set_it(opened: Opened) -> None:
    lines = Lines(opened, most=MOST, timeout=1)
    await lines.run("PING")  # who opens a connection is kept by it
    await eventually(lambda: not lines._lines[0]._watching, within=20)

    async def request() -> None:
        await lines.run("PING")

    assert await is_forgotten(request)
    await lines.close()
