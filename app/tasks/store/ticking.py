"""How far each schedule has come: one row each, which moves forward in the transaction that enqueues its task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import Enum

from sqlalchemy import Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.database import TIMESTAMP, Database, Row, Statement

# Whoever comes second waits for the first one's commit, finds the row moved and changes nothing. A row far in the
# future was written by a clock that has been set back since: left alone, it would silence the schedule until then.
ADVANCE_SCHEDULE = Statement(
    text("""
INSERT INTO schedules AS stored (name, last_tick) VALUES (:name, :tick)
ON CONFLICT (name) DO UPDATE SET last_tick = excluded.last_tick
WHERE stored.last_tick < excluded.last_tick OR stored.last_tick > :latest
RETURNING old.last_tick
""").bindparams(
        bindparam("name", type_=Text), bindparam("tick", type_=TIMESTAMP), bindparam("latest", type_=TIMESTAMP)
    ),
    name="advance_schedule",
)

SELECT_TICKS = Statement(
    text("SELECT name, last_tick FROM schedules WHERE name = ANY (CAST(:names AS text[]))").bindparams(
        bindparam("names", type_=ARRAY(Text))
    ),
    name="select_ticks",
)

SELECT_NOW = Statement(text("SELECT clock_timestamp()"), name="select_now")


class Step(Enum):
    """What became of one look at one schedule."""

    NONE = "none"  # another worker was first, or it is not yet time
    FIRST_SEEN = "first_seen"
    DUE = "due"
    SET_BACK = "set_back"


async def advance_schedule(db: Database, name: str, *, tick: datetime, latest: datetime) -> Step:
    """Move it to `tick`, inside the transaction that enqueues its task where the answer is `DUE`.

    One that stands after `latest` is set back; one that was never seen begins here.
    """
    row = await db.fetch_one(ADVANCE_SCHEDULE, {"name": name, "tick": tick, "latest": latest})
    return Step.NONE if row is None else _step(row, tick)


def _step(row: Row, tick: datetime) -> Step:
    before: datetime | None = row["last_tick"]
    if before is None:
        return Step.FIRST_SEEN
    return Step.DUE if before < tick else Step.SET_BACK


async def select_ticks(db: Database, names: Sequence[str]) -> dict[str, datetime]:
    """The last tick of each; those that were never seen are missing."""
    return {row["name"]: row["last_tick"] for row in await db.fetch_all(SELECT_TICKS, {"names": list(names)})}


async def select_now(db: Database) -> datetime:
    """The time by the database's clock, which all workers share."""
    now: datetime = await db.fetch_val(SELECT_NOW)
    return now
