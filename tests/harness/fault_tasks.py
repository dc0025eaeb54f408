"""Tasks that only tests have: slow, failing, deadly; added to the real worker like any feature's."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from time import monotonic

import structlog

from app.core.queue import Task
from app.feature import Feature
from app.tasks import Handler, Work
from tests.harness.fault_routes import routes

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Nap:
    """How long it takes, in seconds."""

    seconds: float = 0.0


NAP = Task("test.nap", Nap, timeout=3600, retries=0)
MARK = Task("test.mark", Nap)
FAIL = Task("test.fail", Nap, retries=1)
DIE = Task("test.die", Nap)


async def nap(work: Work[Nap]) -> None:
    """The event tells that it runs; the database says so already when it was only claimed."""
    log.info("napping", id=str(work.id))
    await asyncio.sleep(work.payload.seconds)


async def mark(work: Work[Nap]) -> None:
    """The clock is the machine's, the same for all its processes."""
    log.info("marked", id=str(work.id), at=monotonic())


async def fail(_: Work[Nap]) -> None:
    raise RuntimeError("a failure on purpose")


async def die(_: Work[Nap]) -> None:
    """Take the process with it."""
    os.kill(os.getpid(), signal.SIGKILL)


feature = Feature(
    name="faults",
    routes=(routes,),
    tasks=(Handler(NAP, nap), Handler(MARK, mark), Handler(FAIL, fail), Handler(DIE, die)),
)
