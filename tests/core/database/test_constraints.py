"""Every named constraint of the application's tables exists in the database and has its answer."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import CheckConstraint, Constraint, ForeignKeyConstraint, PrimaryKeyConstraint, UniqueConstraint

from app.core.database import Database, metadata, translate
from app.core.errors import AppError, BadRequest, Conflict
from tests.core.database.test_statements import import_everything

ANSWERS: dict[type[Constraint], tuple[str, str, type[AppError]]] = {
    PrimaryKeyConstraint: ("p", "unique_violation", Conflict),
    UniqueConstraint: ("u", "unique_violation", Conflict),
    ForeignKeyConstraint: ("f", "foreign_key_violation", Conflict),
    CheckConstraint: ("c", "check_violation", BadRequest),
}

# What the server sends: the constraint's name apart, and a row's values in the detail.
VIOLATE = """
DO $$ BEGIN
    RAISE EXCEPTION 'broken' USING ERRCODE = '{kind}', CONSTRAINT = '{name}', DETAIL = 'Key (email)=(a@b.example)';
END $$
"""


def constraints() -> list[Constraint]:
    import_everything()
    return [each for table in metadata.sorted_tables for each in table.constraints]


async def test_every_constraint_is_in_the_database_under_its_name(db: Database) -> None:
    rows = await db.fetch_all("SELECT conname, contype::text FROM pg_constraint WHERE contype IN ('p', 'u', 'f', 'c')")
    found = {(row["conname"], row["contype"]) for row in rows}

    declared = {(str(each.name), ANSWERS[type(each)][0]) for each in constraints()}
    assert declared - found == set()
    assert len(declared) > 10


async def test_every_constraint_becomes_an_answer_with_its_name_and_no_value(db: Database) -> None:
    for each in constraints():
        _, violation, kind = ANSWERS[type(each)]
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as caught:
            await db.execute(VIOLATE.format(kind=violation, name=each.name))

        answer = translate(caught.value)
        assert type(answer) is kind
        assert answer.details == {"constraint": each.name}
        assert "a@b.example" not in f"{answer.message} {answer.details}"
