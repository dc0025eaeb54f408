"""What readiness learns about the schema."""

from __future__ import annotations

import pytest

from app.core.database import ConnectionTrouble, Database, open_database
from app.core.migrations import Fit, SchemaCheck, SchemaMismatch, read_history, schema_probe, schema_state
from tests.harness.settings import TestSettings

HEAD = read_history().head


async def set_version(db: Database, version: str) -> None:
    await db.execute("UPDATE alembic_version SET version_num = :version", {"version": version})


async def test_the_schema_the_code_was_written_for(db: Database) -> None:
    state = await schema_state(db)

    assert (state.fit, state.expected, state.found) == (Fit.CURRENT, HEAD, HEAD)
    await SchemaCheck(db)()


async def test_behind(db: Database) -> None:
    await set_version(db, "0004")

    with pytest.raises(SchemaMismatch) as told:
        await SchemaCheck(db)()

    assert str(told.value) == f"The schema is behind: expected revision {HEAD}, found 0004. Run `app migrate up`."


async def test_ahead(db: Database) -> None:
    await set_version(db, "9999")

    with pytest.raises(SchemaMismatch, match=rf"at revision 9999, which this version .* expects {HEAD}\. A newer"):
        await SchemaCheck(db)()


async def test_a_database_that_was_never_migrated(empty: TestSettings) -> None:
    async with open_database(empty().database) as db:
        state = await schema_state(db)

    assert (state.fit, state.found) == (Fit.BEHIND, None)
    assert f"expected revision {HEAD}, found none" in state.sentence


async def test_two_rows_are_ahead_of_any_line(db: Database) -> None:
    await db.execute("INSERT INTO alembic_version VALUES ('0004')")

    state = await schema_state(db)

    assert (state.fit, state.found) == (Fit.AHEAD, f"0004 and {HEAD}")


async def test_the_probe_follows_the_schema(db: Database) -> None:
    probe = schema_probe(db)
    assert (await probe.check_once()).ok

    await set_version(db, "0004")
    behind = await probe.check_once()
    await set_version(db, HEAD or "")

    assert (behind.ok, behind.reason[:21]) == (False, "The schema is behind:")
    assert (await probe.check_once()).ok


async def test_an_outage_is_not_taken_for_a_wrong_schema(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    check, never_asked = SchemaCheck(db), SchemaCheck(db)
    await check()

    async def away(*_: object) -> None:
        raise ConnectionTrouble("gone")

    monkeypatch.setattr(db, "fetch_val", away)
    await check()
    with pytest.raises(ConnectionTrouble):
        await never_asked()
