"""Hears NOTIFY on a connection of its own: one of the pool would be cleaned when it is given back, and lost with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

from app.core.database.driver import RawConnection, drop, is_gone
from app.core.database.errors import ConnectionTrouble
from app.core.database.options import connect_options
from app.core.database.rows import Value
from app.core.database.trouble import trouble
from app.core.settings.sections import Database as DatabaseSettings

# Seconds; a peer that has gone without a word is noticed after both at most.
LOOK_EVERY = 2.0
LOOK_TIMEOUT = 2.0


class Notices:
    """An open connection that listens."""

    def __init__(self, raw: RawConnection) -> None:
        self._raw = raw
        self._ended = asyncio.Event()
        raw.add_termination_listener(lambda _: self._ended.set())

    async def last(self) -> None:
        """For as long as the connection does; raises `ConnectionTrouble` at its end."""
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._ended.wait()
            except TimeoutError:
                await self._look()
            else:
                raise ConnectionTrouble("the connection that hears of new work was closed")

    async def _look(self) -> None:
        """Not asyncpg's own timeout: it would wait until a server that is silent has confirmed that it gives up."""
        with _translated(self._raw):
            async with asyncio.timeout(LOOK_TIMEOUT):
                await self._raw.execute("SELECT 1")


@asynccontextmanager
async def listen(
    settings: DatabaseSettings, channel: str, hear: Callable[[str], None], *, application_name: str
) -> AsyncIterator[Notices]:
    """Have `hear` called with the payload of every NOTIFY on `channel`; it must return at once.

    Raises `ConnectionTrouble`. What was sent before the block began, or in a gap between two, is not heard.
    """

    def on_notice(_connection: Value, _pid: int, _channel: str, payload: str) -> None:
        hear(payload)

    with _translated():
        raw = await asyncpg.connect(**connect_options(settings, application_name=application_name))
    try:
        notices = Notices(raw)
        with _translated(raw):
            await raw.add_listener(channel, on_notice)
        yield notices
    finally:
        drop(raw)  # without a good-bye, which a server that is stopped would not answer


@contextmanager
def _translated(raw: RawConnection | None = None) -> Iterator[None]:
    """What the server has said stays as it is: a refused login, for one."""
    try:
        yield
    except Exception as error:
        found = trouble(error, gone=raw is not None and is_gone(raw))
        if found is None:
            raise
        raise found from error
