"""Rows of an age, for sweeps to find."""

from __future__ import annotations

from app.core.database import Database

FINISHED = """
INSERT INTO finished_tasks (id, task_type, payload, status, priority, retry_count, max_retries, crash_count, lease_seq,
                            run_at, context, created_at, finished_at)
SELECT uuidv7(), 'test.ended', '{}', :status, 0, 0, 5, 0, 1, at, '{}', at, at
FROM (SELECT now() - CAST(:age AS double precision) * interval '1 second' AS at), generate_series(1, :number)
"""
HANDED_ON = """
INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload, created_at, processed_at)
SELECT 'thing', uuidv7(), 'test.moved', '{}', at, CASE WHEN :handed_on THEN at END
FROM (SELECT now() - CAST(:age AS double precision) * interval '1 second' AS at), generate_series(1, :number)
"""
PROCESSED = """
INSERT INTO processed_events (event_id, handler_name, processed_at)
SELECT uuidv7(), 'test.hears', now() - CAST(:age AS double precision) * interval '1 second'
FROM generate_series(1, :number)
"""


async def add_finished(db: Database, *, age: float, status: str = "done", number: int = 1) -> None:
    """`number` tasks that ended `age` seconds ago."""
    await db.execute(FINISHED, {"age": age, "status": status, "number": number})


async def add_events(db: Database, *, age: float, handed_on: bool = True, number: int = 1) -> None:
    """`number` events of `age` seconds, in the outbox."""
    await db.execute(HANDED_ON, {"age": age, "handed_on": handed_on, "number": number})


async def add_processed(db: Database, *, age: float, number: int = 1) -> None:
    """That a subscriber has dealt with `number` events, `age` seconds ago."""
    await db.execute(PROCESSED, {"age": age, "number": number})


async def ages(db: Database, table: str, column: str) -> list[int]:
    """Whole seconds, the youngest first."""
    age = f"extract(epoch FROM now() - {column})::integer"
    rows = await db.fetch_all(f"SELECT {age} AS age FROM {table} ORDER BY 1")  # noqa: S608  (names of the tests' own)
    return [row["age"] for row in rows]
