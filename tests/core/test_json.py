"""What the service writes as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.core.database import Database
from app.core.json import dumps

ID = UUID("01900000-0000-7000-8000-000000000001")


async def test_an_id_from_the_database_is_text(db: Database) -> None:
    row = await db.fetch_existing("SELECT CAST(:id AS uuid) AS id", {"id": ID})

    assert type(row["id"]) is not UUID  # the driver's own class
    assert json.loads(dumps(dict(row))) == {"id": str(ID)}


async def test_an_id_from_the_database_can_be_stored_in_jsonb(db: Database) -> None:
    row = await db.fetch_existing("SELECT CAST(:id AS uuid) AS id", {"id": ID})

    assert await db.fetch_val("SELECT CAST(:payload AS jsonb)", {"payload": dict(row)}) == {"id": str(ID)}


def test_dates_are_rfc_3339() -> None:
    assert dumps(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == b'"2026-01-02T03:04:05+00:00"'


def test_what_has_no_form_in_json_is_named() -> None:
    with pytest.raises(TypeError, match="not JSON serializable: object"):
        dumps(object())
