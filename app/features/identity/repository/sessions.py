"""The statements about sessions: what a request with a cookie costs is the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    LargeBinary,
    Select,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    delete,
    extract,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.database import Database, Row, Statement
from app.features.identity.repository.users import HAS_SECOND_FACTOR, USER_COLUMNS
from app.features.identity.tables import jwt_tokens, sessions, users

NOBODY = UUID(int=0)  # no session has it


def _seconds(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=Double) * literal_column("interval '1 second'")


_owner = sessions.join(users, users.c.id == sessions.c.user_id)
_holds = and_(
    sessions.c.expires_at > func.now(),
    sessions.c.last_seen_at > func.now() - _seconds("idle"),
    users.c.is_active,
)


def _select_session() -> Select[Any]:
    """Judges the session and notes that it was seen, in one statement and so in one round trip.

    A write at every request would make the session's row the hottest of all: it is at most one a minute, and who
    meets the lock of another request of the same browser leaves the note to that one.
    """
    columns = (
        *(sessions.c.id, sessions.c.user_id, sessions.c.csrf_token, sessions.c.expires_at),
        *(users.c.role, HAS_SECOND_FACTOR),
    )
    found = (
        select(*columns, sessions.c.last_seen_at)
        .select_from(_owner)
        .where(sessions.c.token_hash == bindparam("token_hash", type_=LargeBinary), _holds)
        .cte("found")
    )
    due = (
        select(sessions.c.id)
        .where(
            sessions.c.id.in_(
                select(found.c.id).where(found.c.last_seen_at <= func.now() - literal_column("interval '1 minute'"))
            )
        )
        .with_for_update(key_share=True, skip_locked=True)
        .cte("due")
    )
    seen = update(sessions).where(sessions.c.id.in_(select(due.c.id))).values(last_seen_at=func.now()).cte("seen")
    return select(*(found.c[column.key] for column in columns)).add_cte(seen)


SELECT_SESSION = Statement(_select_session(), name="select_session")
SELECT_HOLDING_SESSIONS = Statement(
    select(sessions.c.id).select_from(_owner).where(sessions.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))), _holds),
    name="select_holding_sessions",
)
SELECT_SESSIONS = Statement(
    select(
        *(sessions.c.id, sessions.c.created_at, sessions.c.last_seen_at, sessions.c.expires_at),
        *(sessions.c.ip_address, sessions.c.user_agent),
    )
    .select_from(_owner)
    .where(
        sessions.c.user_id == bindparam("user_id", type_=Uuid),
        sessions.c.id < bindparam("before", type_=Uuid),
        _holds,
    )
    .order_by(sessions.c.id.desc())
    .limit(bindparam("limit", type_=Integer)),
    name="select_sessions",
)
INSERT_SESSION = Statement(
    insert(sessions)
    .values(
        {name: bindparam(name) for name in ("user_id", "token_hash", "csrf_token", "ip_address", "user_agent")}
        | {"expires_at": func.now() + _seconds("lifetime")}
    )
    .returning(sessions.c.id),
    name="insert_session",
)
RENEW_SESSION = Statement(
    update(sessions)
    .where(sessions.c.id == bindparam("session_id", type_=Uuid))
    .values(
        token_hash=bindparam("new_hash", type_=LargeBinary),
        csrf_token=func.coalesce(bindparam("new_csrf_token", type_=Text), sessions.c.csrf_token),
        last_seen_at=func.now(),
    )
    .returning(cast(extract("epoch", sessions.c.expires_at - func.now()), Double).label("seconds")),
    name="renew_session",
)
# The user's row, locked: sign-ins of one user are counted one after another, and none comes between a password's
# change and the end of the sessions that the old one has opened.
LOCK_USER = Statement(
    select(users.c.password_hash, users.c.is_active)
    .where(users.c.id == bindparam("id", type_=Uuid))
    .with_for_update(key_share=True),
    name="lock_user_to_sign_in",
)
REPLACE_PASSWORD_HASH = Statement(
    update(users)
    .where(users.c.id == bindparam("user_id", type_=Uuid), users.c.password_hash == bindparam("old_hash"))
    .values(password_hash=bindparam("new_hash"))
    .returning(users.c.id),
    name="replace_password_hash",
)
DELETE_IDLEST = Statement(
    delete(sessions)
    .where(
        sessions.c.id.in_(
            select(sessions.c.id)
            .where(sessions.c.user_id == bindparam("user_id", type_=Uuid))
            .order_by(sessions.c.last_seen_at.desc(), sessions.c.id.desc())
            .offset(bindparam("keep", type_=Integer))
        )
    )
    .returning(sessions.c.id),
    name="delete_idlest_sessions",
)
DELETE_SESSION_BY_HASH = Statement(
    delete(sessions)
    .where(sessions.c.token_hash == bindparam("token_hash", type_=LargeBinary))
    .returning(sessions.c.id, sessions.c.user_id),
    name="delete_session_by_hash",
)
SELECT_ME = Statement(
    select(
        *USER_COLUMNS,
        select(sessions.c.csrf_token)
        .where(sessions.c.id == bindparam("session_id", type_=Uuid), sessions.c.user_id == users.c.id)
        .scalar_subquery()
        .label("csrf_token"),
    ).where(users.c.id == bindparam("user_id", type_=Uuid)),
    name="select_me",
)
DELETE_SESSION = Statement(
    delete(sessions)
    .where(
        sessions.c.id == bindparam("id", type_=Uuid),
        sessions.c.user_id == bindparam("user_id", type_=Uuid),
    )
    .returning(sessions.c.id),
    name="delete_session",
)
DELETE_SESSIONS = Statement(
    delete(sessions)
    .where(sessions.c.user_id == bindparam("user_id", type_=Uuid), sessions.c.id != bindparam("but", type_=Uuid))
    .returning(sessions.c.id),
    name="delete_sessions",
)
REVOKE_TOKENS_OF_USER = Statement(
    update(jwt_tokens)
    .where(jwt_tokens.c.user_id == bindparam("of_user", type_=Uuid), jwt_tokens.c.revoked.is_not(true()))
    .values(revoked=True, revoked_at=func.now()),
    name="revoke_tokens_of_user",
)


async def select_session(db: Database, token_hash: bytes, *, idle: float) -> Row | None:
    """With its user's role, where both hold; notes that it was seen. `idle` is in seconds."""
    return await db.fetch_one(SELECT_SESSION, {"token_hash": token_hash, "idle": idle})


async def select_holding_sessions(db: Database, ids: Sequence[UUID], *, idle: float) -> list[UUID]:
    found = await db.fetch_all(SELECT_HOLDING_SESSIONS, {"ids": list(ids), "idle": idle})
    return [row["id"] for row in found]


async def select_sessions(db: Database, user_id: UUID, *, idle: float, before: UUID, limit: int) -> list[Row]:
    """Those that hold, newest first: their ids grow with time."""
    values = {"user_id": user_id, "idle": idle, "before": before, "limit": limit}
    return await db.fetch_all(SELECT_SESSIONS, values)


async def insert_session(
    db: Database,
    user_id: UUID,
    *,
    token_hash: bytes,
    csrf_token: str,
    address: IPv4Address | IPv6Address | None,
    agent: str,
    lifetime: float,
) -> UUID:
    """`lifetime` is in seconds."""
    seen = {"ip_address": address, "user_agent": agent, "lifetime": lifetime}
    values = {"user_id": user_id, "token_hash": token_hash, "csrf_token": csrf_token}
    found: UUID = await db.fetch_val(INSERT_SESSION, values | seen)
    return found


async def renew_session(
    db: Database, session_id: UUID, *, token_hash: bytes, csrf_token: str | None = None
) -> float | None:
    """The same sign-in under a new secret; gives the seconds that are left of it, None where it is over.

    Without a new CSRF token the one so far stays.
    """
    values = {"session_id": session_id, "new_hash": token_hash, "new_csrf_token": csrf_token}
    row = await db.fetch_one(RENEW_SESSION, values)
    return None if row is None else float(row["seconds"])


async def lock_user(db: Database, user_id: UUID) -> Row | None:
    """What decides a sign-in, which stays as it is until the transaction ends."""
    return await db.fetch_one(LOCK_USER, {"id": user_id})


async def replace_password_hash(db: Database, user_id: UUID, *, old: str, new: str) -> bool:
    """Of the same password; False where it is another one by now."""
    values = {"user_id": user_id, "old_hash": old, "new_hash": new}
    return await db.fetch_val(REPLACE_PASSWORD_HASH, values) is not None


async def select_me(db: Database, user_id: UUID, session_id: UUID | None) -> Row | None:
    """The user, with the CSRF token of their session where one is named."""
    return await db.fetch_one(SELECT_ME, {"user_id": user_id, "session_id": session_id or NOBODY})


async def delete_idlest(db: Database, user_id: UUID, *, keep: int) -> list[UUID]:
    """All but the `keep` that were seen last."""
    return [row["id"] for row in await db.fetch_all(DELETE_IDLEST, {"user_id": user_id, "keep": keep})]


async def delete_session_by_hash(db: Database, token_hash: bytes) -> Row | None:
    return await db.fetch_one(DELETE_SESSION_BY_HASH, {"token_hash": token_hash})


async def delete_session(db: Database, user_id: UUID, session_id: UUID) -> bool:
    """False where this user has no such session."""
    return await db.fetch_val(DELETE_SESSION, {"id": session_id, "user_id": user_id}) is not None


async def delete_sessions(db: Database, user_id: UUID, *, but: UUID | None = None) -> list[UUID]:
    rows = await db.fetch_all(DELETE_SESSIONS, {"user_id": user_id, "but": but or NOBODY})
    return [row["id"] for row in rows]


async def revoke_tokens_of(db: Database, user_id: UUID) -> None:
    """Access and refresh tokens of all families."""
    await db.execute(REVOKE_TOKENS_OF_USER, {"of_user": user_id})
