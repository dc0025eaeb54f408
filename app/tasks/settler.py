"""Stores how runs have ended, all that have ended meanwhile in one statement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import asyncpg
import structlog

from app.core.database import ConnectionTrouble, Database
from app.tasks import store
from app.tasks.backoff import Backoff
from app.tasks.run import End, Outcome, Run
from app.tasks.store import Ending, Requeueing, Settled

log = structlog.get_logger(__name__)

MOST = 200  # runs in one statement
TROUBLE = (ConnectionTrouble, asyncpg.PostgresError, asyncpg.InterfaceError, OSError)
FINAL = (End.DONE, End.DEAD)

# Answers of a database that may take the same statement a moment later.
BUSY = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


class Ended:
    """A run and its outcome on the way to the database; `is_doubtful` once a statement's answer was lost."""

    __slots__ = ("is_doubtful", "outcome", "run")

    def __init__(self, run: Run, outcome: Outcome) -> None:
        self.run = run
        self.outcome = outcome
        self.is_doubtful = run.ends_itself


Writing = Callable[[Sequence[Ended]], Awaitable[list[Settled]]]


class Settler:
    """`settled` is told of each run once it is stored (or known to be lost), `promoted` of tasks that may run now."""

    def __init__(
        self, database: Database, *, settled: Callable[[Run, Outcome], None], promoted: Callable[[], None]
    ) -> None:
        self._database = database
        self._settled = settled
        self._promoted = promoted
        self._ended: list[Ended] = []
        self._under_way = 0
        self._news = asyncio.Event()
        self._emptied = asyncio.Event()
        # Two statements that lock many of the same rows in different orders would end in a deadlock.
        self.writing = asyncio.Lock()

    def add(self, run: Run, outcome: Outcome) -> None:
        self._ended.append(Ended(run, outcome))
        self._news.set()

    async def run(self) -> None:
        """Forever; cancelled, it leaves what it has not stored to the next call."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._ended:
                batch, self._ended = self._ended[:MOST], self._ended[MOST:]
                await self._settle(batch)

    async def empty(self) -> None:
        """Until all is stored."""
        while self._ended or self._under_way:
            self._emptied.clear()
            await self._emptied.wait()

    async def _settle(self, batch: list[Ended]) -> None:
        self._under_way += 1
        left = dict.fromkeys(batch)
        try:
            known = [each for each in batch if each.run.ended_itself or each.outcome.end is End.LOST]
            finals = [each for each in batch if each.outcome.end in FINAL and not each.run.ended_itself]
            again = [each for each in batch if each.outcome.end not in (*FINAL, End.LOST)]
            await self._conclude(known, left, {each.run.id for each in known if each.run.ended_itself})
            await self._store(finals, self._finish, left)
            await self._store(again, self._requeue, left)
        finally:
            self._under_way -= 1
            self._take_back(list(left))
            if not self._ended and not self._under_way:
                self._emptied.set()

    def _take_back(self, left: list[Ended]) -> None:
        if left:
            for each in left:
                each.is_doubtful = True
            self._ended += left
            self._news.set()

    async def _store(self, batch: Sequence[Ended], write: Writing, left: dict[Ended, None]) -> None:
        """Until it is stored or the leases are over: then the tasks are somebody else's anyway."""
        backoff = Backoff()
        while batch:
            try:
                async with self.writing:
                    settled = await write(batch)
            except TROUBLE as error:
                log.warning("settling_failed", runs=len(batch), error=type(error).__name__)
                if _is_refusal(error):
                    await self._store_each(batch, write, left)
                    return
                batch = self._still_ours(batch, left)
                await backoff.wait()
            else:
                await self._conclude(batch, left, {each.id for each in settled})
                return

    async def _store_each(self, batch: Sequence[Ended], write: Writing, left: dict[Ended, None]) -> None:
        """One that the database refuses must not keep the others from being stored."""
        if len(batch) == 1:
            self._give_up(batch, left, "the database refuses to store its end")
            return
        for each in batch:
            await self._store([each], write, left)

    def _still_ours(self, batch: Sequence[Ended], left: dict[Ended, None]) -> list[Ended]:
        now = time.monotonic()
        for each in batch:
            each.is_doubtful = True
        over = [each for each in batch if each.run.until < now]
        self._give_up(over, left, "its end could not be stored in time")
        return [each for each in batch if each.run.until >= now]

    def _give_up(self, batch: Sequence[Ended], left: dict[Ended, None], reason: str) -> None:
        for each in batch:
            log.warning("task_lost", reason=reason, **each.run.about)
            left.pop(each, None)
            self._settled(each.run, Outcome(End.LOST))

    async def _conclude(self, batch: Sequence[Ended], left: dict[Ended, None], settled: set[object]) -> None:
        keys = []
        for each in batch:
            left.pop(each, None)
            run, outcome = each.run, each.outcome
            if run.id in settled or (each.is_doubtful and outcome.end is not End.LOST):
                if run.claimed.order_key is not None:
                    keys.append(run.claimed.order_key)
            else:
                outcome = self._lost(run)
            self._settled(run, outcome)
        await self._promote(keys)

    def _lost(self, run: Run) -> Outcome:
        log.warning("task_lost", **run.about)
        return Outcome(End.LOST)

    async def _promote(self, keys: list[str]) -> None:
        if keys:
            with suppress(*TROUBLE):  # the net catches what is missed here
                if await store.promote(self._database, keys):
                    self._promoted()

    async def _finish(self, batch: Sequence[Ended]) -> list[Settled]:
        return await store.finish(
            self._database,
            [
                Ending(each.run.id, each.run.claimed.lease_seq, each.outcome.end.value, each.outcome.error)
                for each in batch
            ],
        )

    async def _requeue(self, batch: Sequence[Ended]) -> list[Settled]:
        return await store.requeue(
            self._database,
            [
                Requeueing(
                    each.run.id,
                    each.run.claimed.lease_seq,
                    each.outcome.delay,
                    each.outcome.end is End.RETRY,
                    each.outcome.error,
                )
                for each in batch
            ],
        )


def _is_refusal(error: Exception) -> bool:
    return isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError) and not isinstance(error, BUSY)
