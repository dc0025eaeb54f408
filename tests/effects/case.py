"""What a case is: one setting, two values of it, and where the difference between them shows.

A case of the first kind says what is seen with each value. One of the second kind belongs to a time limit and waits
for it: the short one ends the wait, the long one does not. Either way nothing but the setting under trial differs.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from app.core.settings import Settings
from tests.harness.settings import TestSettings

Values = Mapping[str, object]

PATIENCE = 2  # how many times as long as the short limit took the long one is watched


@dataclass(frozen=True)
class Trial:
    """One value of one setting."""

    key: str
    value: str
    usual: TestSettings

    def settings(self, *stage: str) -> Settings:
        """`stage` overrides other settings, in the same way for each value."""
        return self.usual(*stage, f"{self.key}={self.value}")


Look = Callable[[Trial], object]
Wait = Callable[[Trial], Awaitable[None]]


@dataclass(frozen=True)
class Visible:
    """`look` sees what `expected` says, for each of its values."""

    look: Look
    expected: Callable[[TestSettings], Values]

    def seen(self, trial: Trial) -> object:
        seen = self.look(trial)
        return asyncio.run(seen) if inspect.iscoroutine(seen) else seen


@dataclass(frozen=True)
class Limit:
    """`wait` ends when the limit is over; `short` and `long` are values of it."""

    wait: Wait
    short: str
    long: str


VISIBLE: dict[str, Visible] = {}
LIMITS: dict[str, Limit] = {}


def shows(key: str, expected: Values | Callable[[TestSettings], Values]) -> Callable[[Look], Look]:
    """Declare a case; `expected` maps each value to what is seen, or makes that map from the usual settings."""

    def declare(look: Look) -> Look:
        assert key not in VISIBLE, f"a second case for {key}"
        VISIBLE[key] = Visible(look, expected if callable(expected) else lambda _: expected)
        return look

    return declare


def limits(key: str, *, short: str = "0.1", long: str = "60") -> Callable[[Wait], Wait]:
    """Declare the case of a time limit, in seconds."""

    def declare(wait: Wait) -> Wait:
        assert key not in LIMITS, f"a second case for {key}"
        LIMITS[key] = Limit(wait, short, long)
        return wait

    return declare


async def outlasts(limit: Limit, key: str, usual: TestSettings, *, patience: float = PATIENCE) -> bool:
    """Whether the long limit still lets wait when the short one, as measured here and now, would be over."""
    took = 0.0
    # Twice: the first run pays for imports too, and the second one shows that the limit ends it, not the order.
    for _ in range(2):
        took = await _seconds(limit.wait(Trial(key, limit.short, usual)))
    waiting = asyncio.ensure_future(limit.wait(Trial(key, limit.long, usual)))
    ended, _ = await asyncio.wait({waiting}, timeout=patience * took)
    waiting.cancel()
    await asyncio.wait({waiting})
    if ended:
        await waiting  # raises what went wrong, if anything did
    return not ended


async def _seconds(work: Awaitable[None]) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    await work
    return loop.time() - started
