"""The statements about API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, INTEGER, JSONB

from app.core.database import Database, Row, Statement
from app.features.identity.tables import api_keys, users

# Whatever else a hand or an older version has left there. PostgreSQL picks the texts out, so that nothing of the rest
# is ever decoded; `strict`, since `lax` would look for them inside nested lists, too.
_permissions: ColumnElement[list[str]] = func.jsonb_path_query_array(
    api_keys.c.permissions, literal_column("""'strict $[*] ? (@.type() == "string")'"""), type_=JSONB
).label("permissions")
_holds = and_(
    api_keys.c.revoked_at.is_(None),
    or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()),
)
_minute_ago = func.now() - literal_column("interval '1 minute'")

KEY_COLUMNS = (
    *(api_keys.c.id, api_keys.c.name, api_keys.c.key_prefix, _permissions, api_keys.c.expires_at),
    *(api_keys.c.last_used_at, api_keys.c.revoked_at, api_keys.c.replaced_by, api_keys.c.created_at),
)

# One statement for each request. When a key was last used is moved once a minute at most, and never waited for: what
# holds the row (the same key in another request, or its revocation) is passed over.
_found = (
    select(api_keys.c.id, _permissions, api_keys.c.expires_at, users.c.id.label("user_id"), users.c.role)
    .join(users, users.c.id == api_keys.c.created_by)
    .where(api_keys.c.key_hash == bindparam("key_hash"), _holds, users.c.is_active)
    .cte("found")
)
_due = (
    select(api_keys.c.id)
    .where(
        api_keys.c.id.in_(select(_found.c.id)),
        or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < _minute_ago),
    )
    .with_for_update(skip_locked=True, key_share=True)
    .cte("due")
)
_moved = update(api_keys).where(api_keys.c.id == _due.c.id).values(last_used_at=func.now()).cte("moved")
SELECT_KEY_CALLER = Statement(select(_found).add_cte(_moved), name="select_key_caller")

SELECT_HOLDING_KEYS = Statement(
    select(api_keys.c.id)
    .join(users, users.c.id == api_keys.c.created_by)
    .where(api_keys.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))), _holds, users.c.is_active),
    name="select_holding_keys",
)
SELECT_KEYS_OF_USER = Statement(
    select(*KEY_COLUMNS)
    .where(api_keys.c.created_by == bindparam("user_id"), api_keys.c.id < bindparam("before"))
    .order_by(api_keys.c.id.desc())
    .limit(bindparam("most", type_=INTEGER)),
    name="select_keys_of_user",
)
_email: ColumnElement[str | None] = cast(bindparam("email", type_=Text), Text)
SELECT_KEYS = Statement(
    select(*KEY_COLUMNS, users.c.email)
    .join(users, users.c.id == api_keys.c.created_by)
    .where(or_(_email.is_(None), users.c.email == _email), api_keys.c.id < bindparam("before"))
    .order_by(api_keys.c.id.desc())
    .limit(bindparam("most", type_=INTEGER)),
    name="select_keys",
)
SELECT_OWNER = Statement(select(users.c.id).where(users.c.email == bindparam("email")), name="select_owner_of_keys")
SELECT_KEY_OWNER = Statement(
    select(api_keys.c.created_by).where(api_keys.c.id == bindparam("id")), name="select_key_owner"
)
# Who makes keys does so one after the other: what was counted and which role was seen still hold at the commit.
LOCK_KEY_OWNER = Statement(
    select(users.c.role).where(users.c.id == bindparam("user_id"), users.c.is_active).with_for_update(key_share=True),
    name="lock_key_owner",
)
COUNT_HOLDING_KEYS = Statement(
    select(func.count()).select_from(api_keys).where(api_keys.c.created_by == bindparam("user_id"), _holds),
    name="count_holding_keys",
)
LOCK_KEY = Statement(
    select(*KEY_COLUMNS, _holds.label("holds"))
    .where(api_keys.c.id == bindparam("id"), api_keys.c.created_by == bindparam("user_id"))
    .with_for_update(key_share=True),
    name="lock_key",
)
INSERT_KEY = Statement(
    insert(api_keys)
    .values(
        {
            name: bindparam(name)
            for name in ("name", "key_prefix", "key_hash", "created_by", "permissions", "expires_at")
        }
    )
    .returning(*KEY_COLUMNS),
    name="insert_key",
)
# LEAST passes NULL over: a key without an end gets one, and none gets a later one.
_overlap = func.make_interval(0, 0, 0, 0, 0, 0, bindparam("overlap", type_=DOUBLE_PRECISION))
UPDATE_ROTATED = Statement(
    update(api_keys)
    .where(api_keys.c.id == bindparam("key_id"))
    .values(
        replaced_by=bindparam("successor", type_=Uuid),
        expires_at=func.least(api_keys.c.expires_at, func.now() + _overlap),
    )
    .returning(api_keys.c.expires_at),
    name="update_rotated_key",
)
UPDATE_REVOKED = Statement(
    update(api_keys).where(api_keys.c.id == bindparam("key_id")).values(revoked_at=func.now()),
    name="update_revoked_key",
)


async def select_key_caller(db: Database, key_hash: bytes) -> Row | None:
    """Whose key it is, if it holds; also moves when it was last used."""
    return await db.fetch_one(SELECT_KEY_CALLER, {"key_hash": key_hash})


async def select_holding_keys(db: Database, ids: Sequence[UUID]) -> list[UUID]:
    return [row["id"] for row in await db.fetch_all(SELECT_HOLDING_KEYS, {"ids": [*ids]})]


async def select_keys_of_user(db: Database, user_id: UUID, *, before: UUID, most: int) -> list[Row]:
    """Newest first."""
    return await db.fetch_all(SELECT_KEYS_OF_USER, {"user_id": user_id, "before": before, "most": most})


async def select_keys(db: Database, *, email: str | None, before: UUID, most: int) -> list[Row]:
    """Newest first, with whose they are; without an address, everybody's."""
    return await db.fetch_all(SELECT_KEYS, {"email": email, "before": before, "most": most})


async def select_owner(db: Database, email: str) -> UUID | None:
    """`email` in lower case."""
    found: UUID | None = await db.fetch_val(SELECT_OWNER, {"email": email})
    return found


async def select_key_owner(db: Database, key_id: UUID) -> UUID | None:
    found: UUID | None = await db.fetch_val(SELECT_KEY_OWNER, {"id": key_id})
    return found


async def lock_key_owner(db: Database, user_id: UUID) -> str | None:
    """Their role; None where they are not active, or not there."""
    found: str | None = await db.fetch_val(LOCK_KEY_OWNER, {"user_id": user_id})
    return found


async def count_holding_keys(db: Database, user_id: UUID) -> int:
    found: int = await db.fetch_val(COUNT_HOLDING_KEYS, {"user_id": user_id})
    return found


async def lock_key(db: Database, key_id: UUID, user_id: UUID) -> Row | None:
    """None where it is somebody else's, too; with `holds`."""
    return await db.fetch_one(LOCK_KEY, {"id": key_id, "user_id": user_id})


async def insert_key(
    db: Database,
    *,
    user_id: UUID,
    name: str,
    key_prefix: str,
    key_hash: bytes,
    permissions: Sequence[str],
    expires_at: datetime | None,
) -> Row:
    values = {"name": name, "key_prefix": key_prefix, "key_hash": key_hash, "created_by": user_id}
    return await db.fetch_existing(INSERT_KEY, {**values, "permissions": [*permissions], "expires_at": expires_at})


async def update_rotated(db: Database, key_id: UUID, *, successor: UUID, overlap: float) -> datetime:
    """When it ends now: in `overlap` seconds, or earlier where it would have."""
    values = {"key_id": key_id, "successor": successor, "overlap": overlap}
    found: datetime = await db.fetch_val(UPDATE_ROTATED, values)
    return found


async def update_revoked(db: Database, key_id: UUID) -> None:
    await db.execute(UPDATE_REVOKED, {"key_id": key_id})
