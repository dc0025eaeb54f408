"""Ids made here and in the database are of one kind."""

from __future__ import annotations

from uuid import UUID

from app.core.database import Database
from app.core.ids import new_id


def milliseconds(value: UUID) -> int:
    return value.int >> 80


async def later(than: UUID) -> UUID:
    """An id of ours from a later millisecond, which is as fine as the two clocks can be compared."""
    found = new_id()
    while milliseconds(found) == milliseconds(than):
        found = new_id()
    return found


async def from_database(db: Database, than: UUID) -> UUID:
    found: UUID = await db.fetch_val("SELECT uuidv7()")
    while milliseconds(found) == milliseconds(than):
        found = await db.fetch_val("SELECT uuidv7()")
    return found


def test_new_ids_are_uuid7_and_always_rise() -> None:
    ids = [new_id() for _ in range(10_000)]

    assert ids == sorted(set(ids))
    assert {each.version for each in ids} == {7}
    assert type(ids[0]) is UUID


async def test_ids_of_both_makers_sort_together(db: Database) -> None:
    ids = [new_id()]
    for _ in range(5):
        ids.append(await from_database(db, than=ids[-1]))
        ids.append(await later(than=ids[-1]))

    assert ids == sorted(ids)
    assert {each.version for each in ids} == {7}
    ordered = await db.fetch_all("SELECT id FROM unnest(:ids ::uuid[]) AS id ORDER BY id", {"ids": ids[::-1]})
    assert [row["id"] for row in ordered] == ids
