"""Finds the peers that are gone and those that take nothing: one look at all sockets, again and again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Protocol

import structlog

from app.core.clock import Clock
from app.core.settings.sections.websocket import WebSocket
from app.sockets.wire import Wire

log = structlog.get_logger(__name__)

TICK = 0.5  # seconds between looks; a peer may be given up so much later than asked for
LOOKS = 4  # at least so many within the shortest time that is watched
BUSY = 1.0  # seconds between two looks of a process that is only busy; what is above that, it did not live through
SLICE = 100  # wires, after which others have their turn: a look at one takes some 3 microseconds


class Observer(Protocol):
    """Is told of every peer that was given up."""

    def dropped(self, reason: str) -> None: ...


class Watch:
    """What was last seen of one wire, and for how many seconds of ours nothing of it has changed."""

    __slots__ = ("asked", "heard", "silent", "stuck", "taken")

    def __init__(self) -> None:
        self.heard = -1.0
        self.silent = 0.0
        self.asked = 0.0  # how long it had been silent at the last ping
        self.taken = 0
        self.stuck: float | None = None  # None where nothing waits, 0 where some of it was taken


class Heartbeat:
    """Pings who is silent, and drops who stays so, or who takes none of what waits for them.

    Silence is counted in the time that this process has lived through: were it told by the clock, a process that was
    stopped for a while, or whose loop was blocked, would drop everybody before it has read what they said meanwhile.
    Nor is it silence while a peer works off what waits for it: a slow line may bring it our ping after the timeout.
    """

    def __init__(self, settings: WebSocket, wires: Collection[Wire], observer: Observer, clock: Clock) -> None:
        """`wires` changes while this runs: it is looked at anew each time."""
        self.interval = settings.heartbeat_interval
        self.timeout = settings.heartbeat_timeout
        self.send_timeout = settings.send_timeout
        self.tick = min(TICK, self.interval / LOOKS, self.send_timeout / LOOKS)
        shortest = min(self.timeout - self.interval, self.send_timeout)
        self.most = max(2 * self.tick, min(BUSY, shortest / LOOKS))  # that one look may count against a peer
        self.wires = wires
        self.observer = observer
        self.clock = clock
        self._watched: dict[Wire, Watch] = {}
        self._looked = clock.monotonic()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self.tick)
            try:
                await self.look()
            except Exception:
                log.exception("heartbeat_failed")

    async def look(self) -> None:
        """Look at every wire once."""
        now = self.clock.monotonic()
        lived, self._looked = min(now - self._looked, self.most), now
        before, self._watched = self._watched, {}
        dropped: Counter[str] = Counter()
        for number, wire in enumerate(tuple(self.wires), 1):
            if wire.is_open:  # who is closing has a deadline of its own
                watch = self._watched[wire] = before.get(wire) or Watch()
                if reason := self._fault(wire, watch, now, lived):
                    self._drop(wire, reason)
                    dropped[reason] += 1
            if number % SLICE == 0:
                await asyncio.sleep(0)
        if dropped:
            log.info("websockets_dropped", **dropped)

    def _fault(self, wire: Wire, watch: Watch, now: float, lived: float) -> str:
        if self._is_stuck(wire, watch, lived):
            return "stalled"
        if self._silence(wire, watch, now, lived) >= self.timeout:
            return "silent"
        if watch.silent - watch.asked >= self.interval:
            watch.asked = watch.silent
            wire.ping()
        return ""

    def _is_stuck(self, wire: Wire, watch: Watch, lived: float) -> bool:
        if not wire.waiting:
            watch.stuck = None
            return False
        if watch.stuck is None or wire.taken != watch.taken:
            watch.taken, watch.stuck = wire.taken, 0.0
        else:
            watch.stuck += lived
        return watch.stuck >= self.send_timeout

    def _silence(self, wire: Wire, watch: Watch, now: float, lived: float) -> float:
        if wire.heard != watch.heard:
            # Since a moment between two looks; at the first one, since its opening.
            watch.heard, watch.asked = wire.heard, 0.0
            watch.silent = max(0.0, min(now - wire.heard, lived))
        elif watch.stuck != 0.0:  # else some of what waits was taken: our ping may be behind it, and the peer reads
            watch.silent += lived
        return watch.silent

    def _drop(self, wire: Wire, reason: str) -> None:
        self.observer.dropped(reason)
        wire.abort()
