"""The tables' common ground: one MetaData whose constraints have names, and the columns most tables share."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, MetaData, Uuid, text

# A constraint's name is its public face: errors are mapped by it and migrations drop it by it.
NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

metadata = MetaData(naming_convention=NAMING_CONVENTION)

# The one type for a moment: without its zone, a time means another moment to each session.
TIMESTAMP = DateTime(timezone=True)


def id_column() -> Column[UUID]:
    """The primary key: a UUIDv7, so that new rows land at the end of the index."""
    return Column("id", Uuid, primary_key=True, server_default=text("uuidv7()"))


def created_at() -> Column[datetime]:
    return _timestamp("created_at")


def updated_at() -> Column[datetime]:
    """Set again by the trigger that every table with this column gets from its migration."""
    return _timestamp("updated_at")


def _timestamp(name: str) -> Column[datetime]:
    return Column(name, TIMESTAMP, nullable=False, server_default=text("now()"))
