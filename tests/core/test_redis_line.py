"""Commands of many tasks over few connections, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisLost
from redis.exceptions import ResponseError

from app.core.redis import bare_connection
from app.core.redis_line import DEPTH, LineLost, Lines
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

MOST = 3


class Opened:
    """Opens connections, and knows them."""

    def __init__(self, settings: TestSettings) -> None:
        self.settings = settings().redis
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
async def lines(opened: Opened) -> AsyncIterator[Lines]:
    made = Lines(opened, most=MOST)
    yield made
    await made.close()


async def test_commands_of_many_tasks_share_a_connection(lines: Lines, opened: Opened) -> None:
    words = [f"word {number}" for number in range(DEPTH)]

    answers = await asyncio.gather(*(lines.run("ECHO", word) for word in words))

    assert answers == [word.encode() for word in words]
    assert len(opened.connections) == 1


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

    with pytest.raises(Exception, match="Invalid input of type"):
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


async def test_what_was_silent_is_not_asked_again(lines: Lines, opened: Opened) -> None:
    await lines.run("PING")
    waiting = asyncio.create_task(lines.run("BLPOP", "nothing", 0))
    await asyncio.sleep(0)

    lines.give_up()

    with pytest.raises(LineLost):
        await waiting
    assert await lines.run("ECHO", "anew") == b"anew"
    assert [connection.is_connected for connection in opened.connections] == [False, True]
