"""The statements about registrations: people who have not shown yet that an address is theirs."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, delete, exists, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.database import Database, Row, Statement
from app.features.identity.tables import registrations, users

_in_force = registrations.c.expires_at > func.now()

INSERT_REGISTRATION = Statement(
    insert(registrations)
    .values(
        {name: bindparam(name) for name in ("email", "name", "password_hash")}
        | {
            "expires_at": func.now()
            + bindparam("lifetime", type_=DOUBLE_PRECISION) * literal_column("interval '1 second'")
        }
    )
    .returning(registrations.c.id),
    name="insert_registration",
)
SELECT_REGISTRATION = Statement(
    select(
        registrations.c.email,
        registrations.c.created_at,
        exists().where(users.c.email == registrations.c.email).label("is_taken"),
    ).where(registrations.c.id == bindparam("id"), _in_force),
    name="select_registration",
)

# All of the address, in one order: two of them that are confirmed at once then wait for each other, and not both.
_address = select(registrations.c.email).where(registrations.c.id == bindparam("id"), _in_force).scalar_subquery()
_locked = (
    select(registrations.c.id)
    .where(registrations.c.email == _address)
    .order_by(registrations.c.id)
    .with_for_update()
    .cte("locked")
)
TAKE_REGISTRATIONS = Statement(
    delete(registrations)
    .where(registrations.c.id.in_(select(_locked.c.id)))
    .returning(registrations.c.id, registrations.c.email, registrations.c.name, registrations.c.password_hash),
    name="take_registrations",
)
INSERT_REGISTERED_USER = Statement(
    upsert(users)
    .values({name: bindparam(name) for name in ("email", "name", "password_hash")} | {"email_verified": True})
    .on_conflict_do_nothing(index_elements=["email"])
    .returning(users.c.id),
    name="insert_registered_user",
)


async def insert_registration(db: Database, *, email: str, name: str, password_hash: str, lifetime: float) -> UUID:
    """`lifetime` is in seconds."""
    values = {"email": email, "name": name, "password_hash": password_hash, "lifetime": lifetime}
    found: UUID = await db.fetch_val(INSERT_REGISTRATION, values)
    return found


async def select_registration(db: Database, registration_id: UUID) -> Row | None:
    """With `is_taken`: whether the address has become a user's meanwhile."""
    return await db.fetch_one(SELECT_REGISTRATION, {"id": registration_id})


async def take_registrations(db: Database, registration_id: UUID) -> Row | None:
    """That one, if it is still in force; with it all others of its address are deleted."""
    rows = await db.fetch_all(TAKE_REGISTRATIONS, {"id": registration_id})
    return next((row for row in rows if row["id"] == registration_id), None)


async def insert_registered_user(db: Database, *, email: str, name: str, password_hash: str) -> UUID | None:
    """None where somebody has the address."""
    values = {"email": email, "name": name, "password_hash": password_hash}
    found: UUID | None = await db.fetch_val(INSERT_REGISTERED_USER, values)
    return found
