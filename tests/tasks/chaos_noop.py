"""A task that does nothing, for a worker whose throughput is measured."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.queue import Task
from app.feature import Feature
from app.tasks import Handler, Work


@dataclass(frozen=True)
class Nothing:
    """No payload."""


NOOP = Task("chaos.noop", Nothing)


async def do_nothing(work: Work[Nothing]) -> None:
    pass


feature = Feature(name="chaos", tasks=(Handler(NOOP, do_nothing),))
