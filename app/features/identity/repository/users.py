"""The statements about users."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import bindparam, exists, insert, select, update

from app.core.database import Database, Row, Statement
from app.features.identity.tables import second_factors, users

HAS_SECOND_FACTOR = (
    exists()
    .where(second_factors.c.user_id == users.c.id, second_factors.c.confirmed_at.is_not(None))
    .label("second_factor")
)

USER_COLUMNS = (
    *(users.c.id, users.c.email, users.c.name, users.c.role, users.c.is_active, users.c.email_verified),
    *(users.c.created_at, HAS_SECOND_FACTOR),
)

SELECT_USER = Statement(select(*USER_COLUMNS).where(users.c.id == bindparam("id")), name="select_user")
SELECT_USER_TO_SIGN_IN = Statement(
    select(*USER_COLUMNS, users.c.password_hash).where(users.c.email == bindparam("email")),
    name="select_user_to_sign_in",
)
SELECT_PASSWORD_HASH = Statement(
    select(users.c.password_hash).where(users.c.id == bindparam("id")), name="select_password_hash"
)
INSERT_USER = Statement(
    insert(users)
    .values({name: bindparam(name) for name in ("email", "name", "password_hash", "role", "email_verified")})
    .returning(users.c.id),
    name="insert_user",
)
UPDATE_PASSWORD = Statement(
    update(users)
    .where(users.c.id == bindparam("user_id"))
    .values(password_hash=bindparam("new_hash"))
    .returning(users.c.id),
    name="update_password",
)


async def select_user(db: Database, user_id: UUID) -> Row | None:
    return await db.fetch_one(SELECT_USER, {"id": user_id})


async def select_user_to_sign_in(db: Database, email: str) -> Row | None:
    """With the password's hash; `email` in lower case."""
    return await db.fetch_one(SELECT_USER_TO_SIGN_IN, {"email": email})


async def select_password_hash(db: Database, user_id: UUID) -> str | None:
    found: str | None = await db.fetch_val(SELECT_PASSWORD_HASH, {"id": user_id})
    return found


async def insert_user(
    db: Database, *, email: str, name: str, password_hash: str | None, role: str, email_verified: bool
) -> UUID:
    """An address that is taken rises as the database's own error, `uq_users_email`."""
    values = {"email": email, "name": name, "password_hash": password_hash, "role": role}
    found: UUID = await db.fetch_val(INSERT_USER, {**values, "email_verified": email_verified})
    return found


async def update_password(db: Database, user_id: UUID, password_hash: str) -> None:
    await db.execute(UPDATE_PASSWORD, {"user_id": user_id, "new_hash": password_hash})
