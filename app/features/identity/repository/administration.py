"""The statements of administrators about users."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Boolean, Integer, Text, Uuid, bindparam, func, select, true, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.database import Database, Row, Statement
from app.features.identity.models import Role
from app.features.identity.repository.users import USER_COLUMNS
from app.features.identity.tables import users

NEWEST = UUID(int=2**128 - 1)  # every user's id is before it: they grow with time

SELECT_USERS = Statement(
    select(*USER_COLUMNS)
    .where(
        func.starts_with(users.c.email, bindparam("prefix", type_=Text)),
        users.c.id < bindparam("before", type_=Uuid),
    )
    .order_by(users.c.id.desc())
    .limit(bindparam("most", type_=Integer)),
    name="select_users",
)
SELECT_USER_OF_EMAIL = Statement(
    select(*USER_COLUMNS).where(users.c.email == bindparam("email", type_=Text)), name="select_user_of_email"
)
COUNT_USERS = Statement(select(func.count()).select_from(users), name="count_users")
# In one order, so that two who take a role away from each other wait and never deadlock. Whoever has waited sees what
# the other has left: PostgreSQL looks at the condition again once it has the lock.
LOCK_ADMINS = Statement(
    select(users.c.id)
    .where(users.c.role == Role.ADMIN.value, users.c.is_active.is_(true()), users.c.email_verified.is_(true()))
    .order_by(users.c.id)
    .with_for_update(key_share=True),
    name="lock_admins",
)
LOCK_USER = Statement(
    select(users.c.name, users.c.role, users.c.is_active)
    .where(users.c.id == bindparam("id", type_=Uuid))
    .with_for_update(key_share=True),
    name="lock_user_to_change",
)
CHANGE_USER = Statement(
    update(users)
    .where(users.c.id == bindparam("user_id", type_=Uuid))
    .values(
        name=bindparam("new_name", type_=Text),
        role=bindparam("new_role", type_=Text),
        is_active=bindparam("now_active", type_=Boolean),
    ),
    name="change_user",
)
INSERT_VERIFIED_USER = Statement(
    upsert(users)
    .values({name: bindparam(name, type_=Text) for name in ("email", "name", "password_hash", "role")})
    .values(email_verified=True)
    .on_conflict_do_nothing(index_elements=["email"])
    .returning(users.c.id),
    name="insert_verified_user",
)


async def select_users(db: Database, *, prefix: str, before: UUID, most: int) -> list[Row]:
    """Newest first, those whose address begins like this."""
    return await db.fetch_all(SELECT_USERS, {"prefix": prefix, "before": before, "most": most})


async def select_user_of_email(db: Database, email: str) -> Row | None:
    """`email` in lower case."""
    return await db.fetch_one(SELECT_USER_OF_EMAIL, {"email": email})


async def count_users(db: Database) -> int:
    found: int = await db.fetch_val(COUNT_USERS)
    return found


async def lock_admins(db: Database) -> set[UUID]:
    """All who can sign in as administrators; who else takes that from one of them waits for this transaction."""
    return {row["id"] for row in await db.fetch_all(LOCK_ADMINS)}


async def lock_user(db: Database, user_id: UUID) -> Row | None:
    """What may be changed of a user, which stays as it is until the transaction ends."""
    return await db.fetch_one(LOCK_USER, {"id": user_id})


async def change_user(db: Database, user_id: UUID, *, name: str, role: str, is_active: bool) -> None:
    await db.execute(CHANGE_USER, {"user_id": user_id, "new_name": name, "new_role": role, "now_active": is_active})


async def insert_verified_user(db: Database, *, email: str, name: str, password_hash: str, role: str) -> UUID | None:
    """None where somebody has the address."""
    values = {"email": email, "name": name, "password_hash": password_hash, "role": role}
    found: UUID | None = await db.fetch_val(INSERT_VERIFIED_USER, values)
    return found
