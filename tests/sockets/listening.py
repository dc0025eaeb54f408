"""A fan-out on a real Redis, and a receiver that writes down what it is told instead of holding sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.core import json
from app.core.realtime import Position
from app.core.settings.sections import Redis as RedisSettings
from app.sockets.fanout import Fanout
from tests.harness.waiting import eventually


@dataclass(frozen=True)
class Event:
    """A delivered push."""

    topic: str
    position: Position
    data: object


@dataclass(frozen=True)
class Resync:
    """A word that something may be missing."""

    topic: str
    position: Position


@dataclass
class Recorder:
    """Receiver and observer in one."""

    told: list[Event | Resync] = field(default_factory=list)
    signed_out: list[tuple[str, str | None]] = field(default_factory=list)
    reviews: int = 0
    resyncs: int = 0
    lags: list[float] = field(default_factory=list)
    connections: list[bool] = field(default_factory=list)

    async def deliver(self, topic: str, position: Position, data: bytes) -> int:
        self.told.append(Event(topic, position, json.loads(data)))
        return 1

    async def resync(self, topic: str, position: Position) -> int:
        self.told.append(Resync(topic, position))
        return 1

    def disconnect(self, user_id: str, credential: str | None) -> None:
        self.signed_out.append((user_id, credential))

    def review_now(self) -> None:
        self.reviews += 1

    def resynced(self) -> None:
        self.resyncs += 1

    def delivered(self, lag: float) -> None:
        self.lags.append(lag)

    def connected(self, *, is_so: bool) -> None:
        self.connections.append(is_so)

    def events(self, topic: str) -> list[Event]:
        return [each for each in self.told if isinstance(each, Event) and each.topic == topic]

    def announced(self, topic: str) -> list[Resync]:
        return [each for each in self.told if isinstance(each, Resync) and each.topic == topic]


async def _nobody() -> None: ...


@asynccontextmanager
async def listening(
    settings: RedisSettings,
    recorder: Recorder,
    *,
    on_connected: Callable[[], Awaitable[object]] = _nobody,
    connect: bool = True,
) -> AsyncIterator[Fanout]:
    """Runs one for the length of the block, connected at its beginning unless told otherwise."""
    fanout = Fanout(settings, recorder, observer=recorder, on_connected=on_connected)
    task = asyncio.create_task(fanout.run())
    try:
        if connect:
            await eventually(lambda: fanout.connected, within=20)
        yield fanout
    finally:
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
