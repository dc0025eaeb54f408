"""What the product is to show beside others, and whether the figures show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import sockets, startup, tasks
from bench.figures import Part, Series, Spread, ratio
from bench.names import (
    ENGINES,
    FASTAPI,
    FASTAPI_ORM,
    FASTAPI_TUNED,
    HEALTH,
    LITESTAR,
    PLINTH,
    PLINTH_UVICORN,
    READ,
    ROUTE,
    WRITE,
)
from bench.socket_contestants import BOUNDED
from bench.task_contestants import PGQUEUER, PGQUEUER_WIDE, PLINTH_WIDE, PROCRASTINATE
from bench.task_contestants import PLINTH as PLINTH_WORKER

Parts = Mapping[str, Part]


@dataclass(frozen=True)
class Target:
    """One promise: `ours` in `metric`, over that of `theirs` where there is one, is at least or at most `bound`."""

    part: str
    metric: str
    ours: str
    theirs: str
    bound: float
    at_least: bool = True

    def measured(self, parts: Parts) -> Series | Spread | None:
        """None where it, or what it is measured beside, was not measured."""
        part = parts.get(self.part)
        ours = part.get(self.ours, self.metric) if part else None
        if part is None or ours is None or not self.theirs:
            return ours
        theirs = part.get(self.theirs, self.metric)
        return ratio(ours, theirs) if theirs else None

    def met(self, found: Series | Spread) -> bool:
        """By the median."""
        return found.median >= self.bound if self.at_least else found.median <= self.bound


def _times(work: str, ours: str, bound: float, *theirs: str) -> list[Target]:
    return [Target("http", work, ours, other, bound) for other in theirs]


def _each(part: str, metric: str, theirs: str, bound: float, *, ours: Sequence[str] = tuple(ENGINES)) -> list[Target]:
    return [Target(part, metric, name, theirs, bound, at_least=False) for name in ours]


TARGETS = (
    *_times(READ, PLINTH, 2.5, FASTAPI_ORM, LITESTAR),
    *_times(READ, PLINTH_UVICORN, 3.5, FASTAPI_ORM, LITESTAR),
    *_times(READ, PLINTH_UVICORN, 1.0, FASTAPI_TUNED),
    *_times(WRITE, PLINTH, 1.9, FASTAPI_ORM, LITESTAR),
    *_times(WRITE, PLINTH_UVICORN, 2.5, FASTAPI_ORM, LITESTAR),
    *_times(ROUTE, PLINTH, 0.5, FASTAPI_ORM, FASTAPI_TUNED),
    *_times(ROUTE, PLINTH_UVICORN, 0.9, FASTAPI_ORM, FASTAPI_TUNED),
    *_times(HEALTH, PLINTH, 0.65, FASTAPI_ORM, FASTAPI_TUNED),
    Target("tasks", tasks.DRAIN.name, PLINTH_WORKER, PROCRASTINATE, 5),
    Target("tasks", tasks.DRAIN.name, PLINTH_WORKER, PGQUEUER, 1.5),
    Target("tasks", tasks.DRAIN.name, PLINTH_WIDE, PGQUEUER_WIDE, 1.5),
    *_each("sockets", sockets.BROADCAST.name, BOUNDED, 2),
    *_each("sockets", sockets.BROADCAST.name, FASTAPI, 2),
    *_each("sockets", sockets.IDLE.name, "", 45),
    *_each("startup", startup.LIVE.name, "", 900),
    *_each("startup", startup.READY.name, "", 900),
    *_each("startup", startup.RSS.name, "", 90),
)
