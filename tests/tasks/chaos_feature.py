"""What the workers of the chaos tests do: each run is noted in a ledger, and some tasks end with an effect."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

from app.core.database import Database
from app.core.queue import Task
from app.feature import Feature
from app.tasks import Handler, Work


@dataclass(frozen=True)
class Job:
    """`seconds` of doing nothing; with `effect`, a row that is stored together with the task's end."""

    seconds: float = 0.0
    effect: bool = False


JOB = Task("chaos.job", Job, retries=100)

# `finals` is written by PostgreSQL itself, at each end of a task, whoever ends it.
TABLES = (
    "CREATE TABLE asked (task_id uuid PRIMARY KEY, effect boolean NOT NULL)",
    """CREATE TABLE ledger (task_id uuid, lease_seq bigint, worker integer,
                            started timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (task_id, lease_seq))""",
    "CREATE TABLE effects (task_id uuid, lease_seq bigint)",
    "CREATE TABLE finals (task_id uuid, lease_seq bigint, status text)",
    """CREATE FUNCTION note_final() RETURNS trigger LANGUAGE plpgsql AS
       'BEGIN INSERT INTO finals VALUES (NEW.id, NEW.lease_seq, NEW.status); RETURN NEW; END'""",
    """CREATE TRIGGER finals AFTER INSERT OR UPDATE OF status ON finished_tasks
       FOR EACH ROW WHEN (NEW.task_type LIKE 'chaos.%') EXECUTE FUNCTION note_final()""",
)


async def create_tables(db: Database) -> None:
    for statement in TABLES:
        await db.execute(statement)


async def do_job(work: Work[Job]) -> None:
    db = work.resources.database
    run = {"task_id": work.id, "lease_seq": work.lease_seq}
    values = {**run, "worker": os.getpid()}
    await db.execute("INSERT INTO ledger (task_id, lease_seq, worker) VALUES (:task_id, :lease_seq, :worker)", values)
    if work.payload.seconds:
        await asyncio.sleep(work.payload.seconds)
    if work.payload.effect:
        async with work.finishing():
            await db.execute("INSERT INTO effects (task_id, lease_seq) VALUES (:task_id, :lease_seq)", run)


feature = Feature(name="chaos", tasks=(Handler(JOB, do_job),))
