"""Opening a connection goes on without whoever was cancelled, and whoever comes next takes it over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import asyncpg
import pytest

from app.core.database.driver import RawConnection
from app.core.database.opener import Opener
from app.core.database.options import connect_options
from tests.harness.proxy import Proxy, open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

PATIENCE = 20.0  # seconds
Open = Callable[[float], Coroutine[Any, Any, RawConnection]]


@pytest.fixture
async def proxy(settings: TestSettings) -> AsyncIterator[Proxy]:
    chosen = settings().database
    async with open_proxy(chosen.host, chosen.port) as opened:
        yield opened


@pytest.fixture
async def opener() -> AsyncIterator[Opener]:
    made = Opener()
    yield made
    await made.close()


@pytest.fixture
def open_within(opener: Opener, proxy: Proxy, settings: TestSettings) -> Open:
    """Opens one through the proxy, in so many seconds."""
    chosen = settings("database.host=127.0.0.1", f"database.port={proxy.port}").database
    options = connect_options(chosen, application_name="opener")
    return lambda seconds: opener.open(**(options | {"timeout": seconds}))


async def left(opening: Coroutine[Any, Any, RawConnection], proxy: Proxy) -> None:
    """Begin it, and be cancelled when it waits for the server."""
    before = proxy.accepted
    task = asyncio.create_task(opening)
    await eventually(lambda: proxy.accepted > before, within=PATIENCE)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_left_is_taken_over(opener: Opener, open_within: Open, proxy: Proxy) -> None:
    proxy.stall()
    await left(open_within(PATIENCE), proxy)
    proxy.heal()

    raw = await open_within(PATIENCE)

    assert await raw.fetchval("SELECT 1") == 1
    assert (proxy.accepted, opener.opened) == (1, 1)
    await raw.close()


async def test_that_its_time_is_over_is_no_news_of_whoever_took_it_over(
    opener: Opener, open_within: Open, proxy: Proxy
) -> None:
    proxy.stall()
    await left(open_within(2.0), proxy)
    [taken] = opener._left
    taking = asyncio.create_task(open_within(PATIENCE))
    await eventually(lambda: not opener._left, within=PATIENCE)
    assert not taken.done(), "taken over while it goes on"
    await eventually(lambda: proxy.accepted == 2 or taking.done(), within=PATIENCE)
    proxy.heal()

    raw = await taking

    assert isinstance(taken.exception(), TimeoutError), "the fault happened"
    assert await raw.fetchval("SELECT 1") == 1
    assert opener.opened == 1
    await raw.close()


async def test_one_of_its_own_that_fails_is_its_own_news(open_within: Open, proxy: Proxy) -> None:
    proxy.cut()

    with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
        await open_within(PATIENCE)
