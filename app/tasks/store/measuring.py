"""How much there is to do and how long it has waited: counts for those who watch, none of which reads what is done."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from app.core.database import Database, Statement

# One pass over a table that holds what is still to be done and nothing else.
SELECT_QUEUED = Statement(
    text("""
SELECT task_type,
       count(*) FILTER (WHERE status = 'waiting') AS waiting,
       count(*) FILTER (WHERE status = 'pending' AND run_at <= now()) AS due,
       count(*) FILTER (WHERE status = 'pending' AND run_at > now()) AS later,
       count(*) FILTER (WHERE status = 'running') AS running,
       coalesce(extract(epoch FROM now() - min(greatest(run_at, created_at))
                FILTER (WHERE status = 'pending' AND run_at <= now())), 0)::double precision AS oldest_due
FROM tasks GROUP BY task_type
"""),
    name="select_queued_tasks",
)

# The first condition is the index's own (ix_finished_tasks_not_done): the rows of a day that went well are not read.
SELECT_DEAD = Statement(
    text("""
SELECT task_type, count(*) AS dead FROM finished_tasks WHERE status <> 'done' AND status = 'dead' GROUP BY task_type
"""),
    name="select_dead_tasks",
)

SELECT_UNPROCESSED = Statement(
    text("""
SELECT event_type, count(*) AS events,
       extract(epoch FROM clock_timestamp() - min(created_at))::double precision AS oldest
FROM outbox WHERE processed_at IS NULL GROUP BY event_type
"""),
    name="select_unprocessed_events",
)

# Vacuum removes nothing that the oldest snapshot might still see (stack notes, J4). Whose transaction began when is
# shown for the sessions of our own role, and for all to members of pg_monitor; its number is shown to everybody.
# Sessions without a database send the write-ahead log to standbys. Vacuum itself holds back nothing.
SELECT_OLDEST_SNAPSHOT = Statement(
    text("""
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(began)), 0)::double precision AS seconds,
       coalesce(max(age(horizon)), 0) AS transactions
FROM (
    SELECT xact_start, coalesce(backend_xmin, backend_xid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND (datname = current_database() OR datname IS NULL)
      AND backend_type IS DISTINCT FROM 'autovacuum worker'
    UNION ALL SELECT prepared, transaction FROM pg_prepared_xacts WHERE database = current_database()
    UNION ALL SELECT NULL, xmin FROM pg_replication_slots
) AS held (began, horizon)
WHERE horizon IS NOT NULL
"""),
    name="select_oldest_snapshot",
)


@dataclass(frozen=True)
class Queued:
    """Tasks of one type: `waiting` for an earlier one of their order, `due`, due `later`, `running`.

    `oldest_due` is how many seconds the oldest of those that are due has waited.
    """

    task_type: str
    waiting: int
    due: int
    later: int
    running: int
    oldest_due: float


@dataclass(frozen=True)
class Dead:
    """Tasks of one type that were given up."""

    task_type: str
    dead: int


@dataclass(frozen=True)
class Unprocessed:
    """Events of one type that are still in the outbox, and how many seconds the oldest has been there."""

    event_type: str
    events: int
    oldest: float


@dataclass(frozen=True)
class OldestSnapshot:
    """What holds back vacuum: for how many seconds, as far as this role is shown it, and for how many transactions."""

    seconds: float
    transactions: int


async def select_queued(db: Database) -> list[Queued]:
    """What is to be done, by type."""
    return [Queued(*row) for row in await db.fetch_all(SELECT_QUEUED)]


async def select_dead(db: Database) -> list[Dead]:
    """What was given up, by type."""
    return [Dead(*row) for row in await db.fetch_all(SELECT_DEAD)]


async def select_unprocessed(db: Database) -> list[Unprocessed]:
    """What the relay has not handed on, by type."""
    return [Unprocessed(*row) for row in await db.fetch_all(SELECT_UNPROCESSED)]


async def select_oldest_snapshot(db: Database) -> OldestSnapshot:
    """The one that holds back vacuum in this database, this session's own left out."""
    return OldestSnapshot(*await db.fetch_existing(SELECT_OLDEST_SNAPSHOT))
