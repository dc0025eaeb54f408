"""The statements about those whom an OpenID provider knows."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, literal, select
from sqlalchemy.dialects.postgresql import insert

from app.core.database import Database, Row, Statement
from app.features.identity.models import Role
from app.features.identity.tables import external_identities, users

SELECT_EXTERNAL_USER = Statement(
    select(users.c.id, users.c.role, users.c.is_active)
    .join(external_identities, external_identities.c.user_id == users.c.id)
    .where(
        external_identities.c.issuer == bindparam("issuer"),
        external_identities.c.subject == bindparam("subject"),
    ),
    name="select_external_user",
)
# Where the address is taken, whoever has taken it a moment ago is waited for, and nothing comes back.
INSERT_EXTERNAL_USER = Statement(
    insert(users)
    .values(
        email=bindparam("email"), name=bindparam("name"), role=literal(Role.USER.value), email_verified=literal(True)
    )
    .on_conflict_do_nothing(index_elements=[users.c.email])
    .returning(users.c.id),
    name="insert_external_user",
)
INSERT_EXTERNAL_IDENTITY = Statement(
    insert(external_identities)
    .values({name: bindparam(name) for name in ("issuer", "subject", "user_id")})
    .on_conflict_do_nothing(index_elements=[external_identities.c.issuer, external_identities.c.subject])
    .returning(external_identities.c.user_id),
    name="insert_external_identity",
)
SELECT_ACTIVE_USERS = Statement(
    select(users.c.id).where(users.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))), users.c.is_active),
    name="select_active_users",
)


async def select_external_user(db: Database, issuer: str, subject: str) -> Row | None:
    return await db.fetch_one(SELECT_EXTERNAL_USER, {"issuer": issuer, "subject": subject})


async def insert_external_user(db: Database, *, email: str, name: str) -> UUID | None:
    """A user without a password; None where the address is taken."""
    found: UUID | None = await db.fetch_val(INSERT_EXTERNAL_USER, {"email": email, "name": name})
    return found


async def insert_external_identity(db: Database, *, issuer: str, subject: str, user_id: UUID) -> bool:
    """False where this subject is somebody already."""
    values = {"issuer": issuer, "subject": subject, "user_id": user_id}
    return await db.fetch_val(INSERT_EXTERNAL_IDENTITY, values) is not None


async def select_active_users(db: Database, ids: Sequence[UUID]) -> list[UUID]:
    return [row["id"] for row in await db.fetch_all(SELECT_ACTIVE_USERS, {"ids": list(ids)})]
