"""Asks a service 'are you there?' at intervals and keeps the last answer, so that asking us costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from app.core.clock import Clock, SystemClock
from app.core.patience import extra

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[None]]

# A poke right after a check would learn nothing new; this share of the interval must lie between.
BREATH = 0.1


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The last answer; `reason` is empty when all is well."""

    ok: bool
    reason: str
    checked_at: datetime
    seconds: float


class Probe:
    """Runs `check` every `interval` seconds, each time for at most `timeout` seconds, never two at once.

    A fault shows after at most `interval + timeout`, a return after as long: below 2 s with the defaults.
    """

    def __init__(
        self,
        name: str,
        check: Check,
        *,
        interval: float,
        timeout: float,
        clock: Clock | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        """`check` returns when all is well and raises when it is not; `close` is called when `run` ends."""
        self.name = name
        self.timeout = timeout
        self._check = check
        self._close = close
        self._interval = interval
        self._clock = clock or SystemClock()
        self._poked = asyncio.Event()
        self._asked = False
        self._running: asyncio.Task[None] | None = None
        self.result = ProbeResult(ok=False, reason="not checked yet", checked_at=self._clock.now(), seconds=0.0)

    def poke(self) -> None:
        """Check now: somebody has just seen trouble. While the last answer is bad, the next one is near anyway."""
        if self.result.ok:
            self._poked.set()

    async def run(self) -> None:
        """Until cancelled; begins with a rest where a `check_once` came before."""
        try:
            while True:
                if self._asked:
                    await self._rest()
                await self.check_once()
        finally:
            if self._running is not None:
                self._running.cancel()
                await asyncio.gather(self._running, return_exceptions=True)
            if self._close is not None:
                self._close()

    async def check_once(self) -> ProbeResult:
        """Check and keep the answer; a check past its deadline is cancelled, and no other begins before its end."""
        self._asked = True
        self._poked.clear()
        started = self._clock.monotonic()
        running = self._begin()
        answered = await self._has_ended(running)
        if not answered:
            running.cancel()
        reason = _reason(running) if answered else f"no answer within {self.timeout:g} s"
        self._keep(reason, self._clock.monotonic() - started)
        return self.result

    async def _has_ended(self, running: asyncio.Task[None]) -> bool:
        """In time, of which a pause of our own loop is no part."""
        due = asyncio.get_running_loop().time() + self.timeout
        done, waiting = await asyncio.wait({running}, timeout=self.timeout)
        if waiting:
            done, _ = await asyncio.wait({running}, timeout=extra(due, most=self.timeout))
        return bool(done)

    def _begin(self) -> asyncio.Task[None]:
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._checked(), name=f"check {self.name}")
        return self._running

    async def _checked(self) -> None:
        await self._check()

    def _keep(self, reason: str, seconds: float) -> None:
        before, ok = self.result.ok, not reason
        self.result = ProbeResult(ok=ok, reason=reason, checked_at=self._clock.now(), seconds=seconds)
        if ok and not before:
            log.info("probe_up", probe=self.name, seconds=round(seconds, 4))
        if before and not ok:
            log.warning("probe_down", probe=self.name, reason=reason)

    async def _rest(self) -> None:
        await asyncio.sleep(self._interval * BREATH)
        try:
            async with asyncio.timeout(self._interval * (1 - BREATH)):
                await self._poked.wait()
        except TimeoutError:
            pass


def _reason(ended: asyncio.Task[None]) -> str:
    if ended.cancelled():
        return "the check was cancelled"
    error = ended.exception()
    return "" if error is None else _sentence(error)


def _sentence(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
