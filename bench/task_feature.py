"""The tasks of `make bench-tasks`, as a feature of the real worker; and how they are asked for."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from app.core.database import Database, open_database
from app.core.queue import Queue, Task, open_queue
from app.core.settings import load_settings
from app.feature import Feature
from app.server.engine import loop_factory
from app.tasks import Handler, Work
from bench.peers.asking import Asking, ask, stamped


@dataclass(frozen=True)
class Nothing:
    """No payload."""


@dataclass(frozen=True)
class Stamp:
    """Whom to tell that it has begun, and when it was asked for."""

    port: int
    sent: float


NOTHING = Task("bench.nothing", Nothing)
STAMP = Task("bench.stamp", Stamp)


async def do_nothing(_: Work[Nothing]) -> None: ...


async def stamp(work: Work[Stamp]) -> None:
    stamped(work.payload.port, work.payload.sent)


feature = Feature(name="bench", tasks=(Handler(NOTHING, do_nothing), Handler(STAMP, stamp)))


class Plinth:
    """Each call is a transaction of its own: BEGIN, the insert, COMMIT."""

    def __init__(self, db: Database, queue: Queue) -> None:
        self._db, self._queue = db, queue

    async def nothing(self) -> None:
        async with self._db.transaction():
            await self._queue.enqueue(NOTHING, Nothing())

    async def nothings(self, count: int) -> None:
        async with self._db.transaction():
            await self._queue.enqueue_many(NOTHING, [Nothing()] * count)

    async def stamp(self, port: int, sent: float) -> None:
        async with self._db.transaction():
            await self._queue.enqueue(STAMP, Stamp(port, sent))


@asynccontextmanager
async def opened(root: str) -> AsyncIterator[Asking]:
    settings = load_settings(root=Path(root), overrides=(), secrets_folder=Path(root, "secrets"))
    async with open_database(settings.database) as db, open_queue(db) as queue:
        yield Plinth(db, queue)


def main(root: str, what: str, count: str) -> None:
    """Like `bench.peers.asking`, with the settings' folder first."""
    with asyncio.Runner(loop_factory=loop_factory("uvloop")) as runner:
        print(json.dumps(runner.run(ask(opened(root), what, int(count)))))  # noqa: T201  (its answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
