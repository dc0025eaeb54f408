"""Closes the sockets of those who are not signed in any more: expired each second, and all others asked at intervals.

A sign-out reaches every instance through Redis at once. This is for those that were not heard, and for credentials
that end without anybody saying so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Protocol

import structlog

from app.core.callers import Caller
from app.core.clock import Clock, SystemClock
from app.sockets.wire import CloseCode

log = structlog.get_logger(__name__)

EXPIRY_EVERY = 1.0  # seconds
RETRY_EVERY = 2.0  # seconds, while nobody can be asked
EXPIRED, SIGNED_OUT = "credentials expired", "signed out"

# Gives those of the credentials, each once, that still hold. Where it raises nobody is closed, and it is asked again.
Ask = Callable[[Sequence[str]], Awaitable[Collection[str]]]


class Reviewed(Protocol):
    """A socket, as far as its caller is concerned."""

    @property
    def caller(self) -> Caller | None:
        """Who opened it; None for somebody who is not signed in."""

    def close(self, code: int, reason: str = "") -> None:
        """End it, without waiting."""


class Review:
    """One for each process that holds sockets; `run` it in a task beside them."""

    def __init__(
        self,
        sockets: Callable[[], Iterable[Reviewed]],
        ask: Ask | None,
        *,
        interval: float,
        clock: Clock | None = None,
    ) -> None:
        """`sockets` gives all that are open now; without `ask` credentials only expire. `interval` is in seconds."""
        self._sockets = sockets
        self._ask = ask
        self._interval = interval
        self._clock = clock or SystemClock()
        self._soon = asyncio.Event()
        self._failing = False

    def soon(self) -> None:
        """Ask now, not at the end of the interval: a sign-out may not have been heard."""
        self._soon.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._expire())
            tasks.create_task(self._review())

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRY_EVERY)
            self.close_expired()

    def close_expired(self) -> None:
        """Close the sockets whose credentials have ended by themselves."""
        now = self._clock.now()
        for socket, caller in self._signed_in():
            if caller.expires_at is not None and caller.expires_at <= now:
                socket.close(CloseCode.POLICY_VIOLATION, EXPIRED)

    async def _review(self) -> None:
        while True:
            await self._rest()
            await self.close_signed_out()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(min(self._interval, RETRY_EVERY) if self._failing else self._interval):
                await self._soon.wait()
        except TimeoutError:
            pass
        self._soon.clear()

    async def close_signed_out(self) -> None:
        """Ask once about all credentials, and close the sockets of those that do not hold any more."""
        credentials = tuple({caller.credential: None for _, caller in self._signed_in() if caller.credential})
        if not credentials or self._ask is None:
            return
        try:
            gone = set(credentials).difference(await self._ask(credentials))
        except Exception as error:  # noqa: BLE001  (logged; a database that is down signs nobody out)
            self._fail(error)
            return
        self._failing = False
        for socket, caller in self._signed_in():
            if caller.credential in gone:
                socket.close(CloseCode.POLICY_VIOLATION, SIGNED_OUT)

    def _fail(self, error: Exception) -> None:
        """Said once, until it works again."""
        if not self._failing:
            log.warning("realtime_review_failed", exc_info=error)
        self._failing = True

    def _signed_in(self) -> list[tuple[Reviewed, Caller]]:
        return [(socket, socket.caller) for socket in self._sockets() if socket.caller is not None]
