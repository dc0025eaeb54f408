"""The one table that the contestants have beside the kit's own: things that people keep, each with some JSON."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, MetaData, Table, Text, Uuid
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from app.core.database import created_at, id_column
from app.core.database.schema import NAMING_CONVENTION
from app.features.identity.tables import users

# In a metadata of its own, where neither migrations nor the check for drift see it.
items = Table(
    "items",
    MetaData(naming_convention=NAMING_CONVENTION),
    id_column(),
    Column("owner", Uuid, ForeignKey(users.c.id, ondelete="CASCADE"), nullable=False),
    Column("title", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    created_at(),
    Index("ix_items_owner_id", "owner", "id"),
)


def creation() -> str:
    """The SQL that makes it."""
    parts: list[DDLElement] = [CreateTable(items), *(CreateIndex(index) for index in items.indexes)]
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy types its dialects not at all
    return ";\n".join(str(part.compile(dialect=dialect)) for part in parts)
