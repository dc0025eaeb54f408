"""Two tables of the tests' own, with every kind of constraint."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, MetaData, Table, Text, UniqueConstraint, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateTable

from app.core.database import Database, created_at, id_column
from app.core.database.schema import NAMING_CONVENTION

tables = MetaData(naming_convention=NAMING_CONVENTION)

shelves = Table(
    "shelves",
    tables,
    id_column(),
    Column("label", Text, nullable=False),
    Column("facts", JSONB),
    created_at(),
    UniqueConstraint("label"),
    CheckConstraint("label <> ''", name="label_not_empty"),
)

# Deferred, so that a wrong reference is found by COMMIT.
books = Table(
    "books",
    tables,
    id_column(),
    Column("shelf_id", Uuid, ForeignKey("shelves.id", deferrable=True, initially="DEFERRED"), nullable=False),
    Column("title", Text, nullable=False),
)


async def create_tables(db: Database) -> None:
    for table in tables.sorted_tables:
        await db.execute(CreateTable(table))
