"""Housekeeping: deletes rows whose time is over, a little at a time.

A feature that has such rows declares four values. In `repository.py`, which rows:

    EXPIRED_SESSIONS = Sweep(sessions, sessions.c.expires_at, name="sweep_sessions")

In `tasks.py`, the task: `SWEEP_SESSIONS = sweeping_task("identity.sweep_sessions")`. In `handlers.py`, who does it, and
when:

    async def sweep_sessions(work: Work[Nothing]) -> None:
        await sweep(work.resources, EXPIRED_SESSIONS)

    handlers = (Handler(SWEEP_SESSIONS, sweep_sessions),)
    schedules = (Schedule("identity.sweep_sessions", Cron("37 * * * *"), SWEEP_SESSIONS, Nothing()),)

And both tuples in its `Feature`. The column needs an index.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import Column, ColumnElement, Table, any_, bindparam, delete, func, literal_column, select
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION

from app.core.database import TIMESTAMP, Database, Statement
from app.core.queue import Priority, Task
from app.core.resources import Resources

log = structlog.get_logger(__name__)

BATCH = 1000  # rows of one statement, whose locks are held for some milliseconds
WITHIN = 60.0  # seconds after which a sweep begins no other batch; what is left, the next one finds
TIMEOUT = 300.0  # seconds; far above, for several sweeps of one task and a slow batch

EVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Nothing:
    """A sweep is told nothing: what is over, the rows say."""


def sweeping_task(name: str) -> Task[Nothing]:
    """One at a time, after all other work."""
    return Task(name, Nothing, timeout=TIMEOUT, retries=3, concurrency=1, priority=Priority.LOW)


class Sweep:
    """Rows of `table` whose `since` lies `keep` seconds in the past, and that are `which`; `keep` comes with the sweep.

    Each batch begins where the last one ended: it does not read again past what that one has deleted, which stays in
    the index while some other transaction might still look at it. Rows that somebody has locked are left for the next
    sweep, so that it waits for nobody.
    """

    def __init__(self, table: Table, since: Column[Any], *which: ColumnElement[bool], name: str) -> None:
        self.name = name
        self.DELETE_OLD = Statement(_statement(table, since, which), name=name)  # a constant of its module, as all are


async def sweep(resources: Resources, swept: Sweep, *, keep: float = 0.0) -> int:
    """Delete in batches, each in a transaction of its own, until one is not full; gives how many rows it were."""
    now = resources.clock.monotonic
    began, rows, start, ended = now(), 0, EVER, False
    while not ended and now() - began < WITHIN:
        batch, start = await _batch(resources.database, swept, keep, start)
        rows, ended = rows + batch, batch < BATCH
    tell = log.info if rows else log.debug
    tell("swept", sweep=swept.name, rows=rows, ended=ended)
    return rows


async def _batch(db: Database, swept: Sweep, keep: float, start: datetime) -> tuple[int, datetime]:
    """How many rows were deleted, and where the next batch begins."""
    rows, last = await db.fetch_existing(swept.DELETE_OLD, {"keep": keep, "start": start})
    return rows, last or start


def _statement(table: Table, since: Column[Any], which: tuple[ColumnElement[bool], ...]) -> Any:  # noqa: ANN401
    place: ColumnElement[Any] = literal_column("ctid")  # which stays the same while a row is locked
    keep, start = bindparam("keep", type_=DOUBLE_PRECISION), bindparam("start", type_=TIMESTAMP)
    over = since <= func.now() - keep * literal_column("interval '1 second'")
    # Where the rows are, in a list: it is looked up once, while a limit inside of IN (...) may be looked up more than
    # once, and a join by key reads the whole table for each batch. A number in the text and not a parameter, which the
    # planner would take for a tenth of the table.
    old = (
        select(place)
        .where(over, since >= start, *which)
        .order_by(since)
        .limit(literal_column(str(BATCH)))
        .with_for_update(skip_locked=True)
        .select_from(table)
        .correlate(None)
    )
    there = place == any_(func.array(old.scalar_subquery()))
    gone = delete(table).where(there).returning(since.label("since")).cte("gone")
    return select(func.count().label("rows"), func.max(gone.c.since).label("last")).select_from(gone)
