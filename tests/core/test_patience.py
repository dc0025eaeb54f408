"""What others are given time for: all of it, and a pause of our own loop is not held against them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest

from app.core.patience import patience
from app.core.probe import Probe
from app.core.redis import bare_connection
from app.core.redis_line import Lines
from tests.harness.settings import TestSettings

LIMIT = 0.1  # seconds


async def an_answer() -> str:
    """It is there after a third of the time; reading it takes some turns of the loop, as from a socket."""
    await asyncio.sleep(LIMIT / 3)
    for _ in range(5):
        await asyncio.sleep(0)
    return "read"


def hold_the_loop() -> None:
    """As a handler that computes, a collection of garbage, or a machine that lets others run."""
    asyncio.get_running_loop().call_soon(time.sleep, 3 * LIMIT)


async def read_within(limit: Callable[[float], AbstractAsyncContextManager[object]]) -> str:
    async with limit(LIMIT):
        hold_the_loop()
        return await an_answer()


async def test_a_pause_of_our_own_loop_is_not_held_against_an_answer() -> None:
    assert await read_within(patience) == "read"

    # A control: the library's own does.
    with pytest.raises(TimeoutError):
        await read_within(asyncio.timeout)


@pytest.mark.parametrize("pause", [False, True])
async def test_silence_is_silence(pause: bool) -> None:
    async def wait() -> None:
        async with patience(LIMIT):
            if pause:
                hold_the_loop()
            await asyncio.Event().wait()

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await wait()

    assert time.monotonic() - began >= LIMIT


async def test_somebody_elses_cancellation_is_no_news_of_the_time() -> None:
    entered = asyncio.Event()

    async def wait() -> None:
        async with patience(60):
            entered.set()
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await entered.wait()
    waiting.cancel()
    await asyncio.wait({waiting})

    assert waiting.cancelled()


async def test_a_probe_does_not_take_a_pause_for_silence() -> None:
    async def check() -> None:
        hold_the_loop()
        await an_answer()

    result = await Probe("service", check, interval=60, timeout=LIMIT).check_once()

    assert (result.ok, result.reason) == (True, "")


async def test_a_pause_while_a_connection_to_redis_is_opened_is_not_held_against_redis(settings: TestSettings) -> None:
    async def connect() -> object:
        hold_the_loop()
        await an_answer()
        connection = bare_connection(settings().redis, protocol=2)
        await connection.connect()  # type: ignore[no-untyped-call]
        return connection

    # The real opening is allowed as much as the pause was.
    lines = Lines(connect, most=1, timeout=LIMIT)  # type: ignore[arg-type]

    assert await lines.run("ECHO", "there") == b"there"
    await lines.close()
