"""Tasks that only tests have: slow, failing, deadly; added to the real worker like any feature's."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass

from app.core.queue import Task
from app.feature import Feature
from app.tasks import Handler, Work
from tests.harness.fault_routes import routes


@dataclass(frozen=True)
class Nap:
    """How long it takes, in seconds."""

    seconds: float = 0.0


NAP = Task("test.nap", Nap, timeout=3600, retries=0)
FAIL = Task("test.fail", Nap, retries=1)
DIE = Task("test.die", Nap)


async def nap(work: Work[Nap]) -> None:
    await asyncio.sleep(work.payload.seconds)


async def fail(_: Work[Nap]) -> None:
    raise RuntimeError("a failure on purpose")


async def die(_: Work[Nap]) -> None:
    """Take the process with it."""
    os.kill(os.getpid(), signal.SIGKILL)


feature = Feature(
    name="faults",
    routes=(routes,),
    tasks=(Handler(NAP, nap), Handler(FAIL, fail), Handler(DIE, die)),
)
