"""The place between a connection and its handler: small, in order, and never a trap for either side."""

from __future__ import annotations

import asyncio
from typing import Any

from app.server.inbox import MOST, Inbox


def _message(text: str) -> Any:
    return {"type": "websocket.receive", "bytes": None, "text": text}


def _filled() -> Inbox:
    """With one more than it has places for."""
    inbox = Inbox()
    for number in range(MOST + 1):
        inbox.put(_message(str(number)))
    return inbox


async def _text(inbox: Inbox) -> str:
    event: Any = await inbox.get()
    return str(event["text"])


async def _turn() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_more_than_it_has_places_for_fills_it_until_one_is_taken() -> None:
    inbox, full = Inbox(), []
    for number in range(MOST + 1):
        full.append(inbox.is_full)
        inbox.put(_message(str(number)))
    full.append(inbox.is_full)

    taken = [await _text(inbox) for _ in range(MOST + 1)]

    assert full == [False] * (MOST + 1) + [True]
    assert not inbox.is_full
    assert taken == [*map(str, range(MOST + 1))]


async def test_whoever_waits_for_room_is_told_once_and_not_before_the_handler_has_gone_on() -> None:
    inbox, told = _filled(), []
    inbox.when_room(lambda: told.append(inbox.is_full))

    await _turn()
    before = list(told)
    await inbox.get()
    at_once = list(told)
    await _turn()
    await inbox.get()
    await _turn()

    assert (before, at_once, told) == ([], [], [False])


async def test_each_message_goes_to_one_of_two_readers() -> None:
    inbox = Inbox()
    readers = [asyncio.create_task(_text(inbox)) for _ in range(2)]
    await _turn()

    inbox.put(_message("one"))
    inbox.put(_message("two"))

    assert sorted(await asyncio.gather(*readers)) == ["one", "two"]


async def test_what_is_there_at_the_end_can_still_be_taken_and_then_it_is_over_for_good() -> None:
    inbox = Inbox()
    inbox.put(_message("last"))

    inbox.end(1001)
    inbox.end(1006)
    inbox.put(_message("too late"))

    events = [await inbox.get() for _ in range(3)]
    assert events == [_message("last"), *[{"type": "websocket.disconnect", "code": 1001}] * 2]


async def test_the_end_lets_everybody_go_who_waits() -> None:
    full, empty = _filled(), Inbox()
    room = asyncio.Event()
    full.when_room(room.set)
    waiting = [asyncio.create_task(room.wait()), asyncio.create_task(empty.get())]
    await _turn()
    assert not any(task.done() for task in waiting)

    full.end(1000)
    empty.end(1000)

    async with asyncio.timeout(1):
        await asyncio.gather(*waiting)


async def test_a_reader_that_gives_up_leaves_nothing_behind() -> None:
    inbox = Inbox()
    reader = asyncio.create_task(inbox.get())
    await _turn()

    reader.cancel()
    await asyncio.wait([reader])
    inbox.put(_message("for the next one"))

    assert await inbox.get() == _message("for the next one")
    assert inbox._waiting == []
