"""The statements about password resets: mails under way that let their reader choose a new password, each once."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, delete, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION

from app.core.database import Database, Row, Statement
from app.features.identity.tables import password_resets, users

_expires_at = func.now() + bindparam("lifetime", type_=DOUBLE_PRECISION) * literal_column("interval '1 second'")
_in_force = password_resets.c.expires_at > func.now()

SELECT_USER_TO_RESET = Statement(
    select(users.c.id, users.c.password_hash.is_not(None).label("has_password")).where(
        users.c.email == bindparam("email"), users.c.is_active
    ),
    name="select_user_to_reset",
)
INSERT_RESET = Statement(
    insert(password_resets)
    .values(user_id=bindparam("user_id"), expires_at=_expires_at)
    .returning(password_resets.c.id),
    name="insert_reset",
)
SELECT_RESET = Statement(
    select(users.c.id, users.c.email, users.c.name)
    .join(password_resets, password_resets.c.user_id == users.c.id)
    .where(password_resets.c.id == bindparam("id"), _in_force, users.c.is_active),
    name="select_reset",
)

# All of the user, in one order: of two that are used at once, one waits and then finds nothing.
_locked = (
    select(password_resets.c.id)
    .where(password_resets.c.user_id == bindparam("user_id"))
    .order_by(password_resets.c.id)
    .with_for_update()
    .cte("locked")
)
TAKE_RESETS = Statement(
    delete(password_resets)
    .where(password_resets.c.id.in_(select(_locked.c.id)))
    .returning(password_resets.c.id, _in_force.label("in_force")),
    name="take_resets",
)


async def select_user_to_reset(db: Database, email: str) -> Row | None:
    """An active one, with `has_password`."""
    return await db.fetch_one(SELECT_USER_TO_RESET, {"email": email})


async def insert_reset(db: Database, user_id: UUID, *, lifetime: float) -> UUID:
    """`lifetime` is in seconds."""
    found: UUID = await db.fetch_val(INSERT_RESET, {"user_id": user_id, "lifetime": lifetime})
    return found


async def select_reset(db: Database, reset_id: UUID) -> Row | None:
    """Whose password it is to change, if it is in force and they may sign in."""
    return await db.fetch_one(SELECT_RESET, {"id": reset_id})


async def take_resets(db: Database, reset_id: UUID, user_id: UUID) -> bool:
    """Whether that one was there and in force; with it all others of the user are deleted."""
    rows = await db.fetch_all(TAKE_RESETS, {"user_id": user_id})
    return any(row["id"] == reset_id and row["in_force"] for row in rows)
