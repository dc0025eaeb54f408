"""Browsers that have signed in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from secrets import token_urlsafe
from uuid import UUID

from app.core.callers import Caller
from app.core.database import Database, Row
from app.core.errors import Unauthorized
from app.core.resources import Resources
from app.features.identity.errors import NoSuchSession
from app.features.identity.events import SESSION_REVOKED, SESSIONS_REVOKED, SIGNED_IN, SIGNED_OUT
from app.features.identity.models import Proof, User, Visitor, credential
from app.features.identity.repository import sessions as rows
from app.features.identity.service.audit import record
from app.features.identity.service.people import is_complete, user_of
from app.features.identity.service.sign_in import Proven, confirm

BYTES = 32  # of randomness, in the cookie and in the CSRF token (ASVS 7.2.3 wants 16)
COOKIE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
LAST = UUID(int=2**128 - 1)  # every session's id is before it


@dataclass(frozen=True)
class Opened:
    """What a browser is given, once: nothing of it can be read from the table again but the CSRF token."""

    cookie: str
    csrf_token: str
    seconds: float  # until it is over at the latest


@dataclass(frozen=True)
class SessionLine:
    """One session, as its user sees it; `current` is the one that asks."""

    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str | None
    agent: str | None
    current: bool


@dataclass(frozen=True)
class Me:
    """Who calls, and the CSRF token where that is a browser."""

    user: User
    csrf_token: str | None


async def caller_of(resources: Resources, cookie: str) -> tuple[Caller, str]:
    """Whose session this is, and its CSRF token; one statement. Raises `Unauthorized`."""
    token_hash = _hash_of(cookie)
    if token_hash is None:
        raise Unauthorized
    idle = resources.settings.session.idle_timeout
    row = await rows.select_session(resources.database, token_hash, idle=idle)
    if row is None:
        raise Unauthorized
    shown = credential(Proof.SESSION, row["id"])
    complete = is_complete(resources.settings.session, row)
    caller = Caller(str(row["user_id"]), row["role"], None, shown, row["expires_at"], complete=complete)
    return caller, row["csrf_token"]


async def holding(db: Database, ids: Sequence[UUID], *, idle: float) -> Collection[UUID]:
    """Those that still hold; one statement. An open socket is no sign of life, so it ends with an idle session."""
    return await rows.select_holding_sessions(db, ids, idle=idle)


async def open_session(resources: Resources, proven: Proven, visitor: Visitor) -> Opened:
    """A sign-in, always under a new id (ASVS 7.2.4). Raises `SignInFailed` where the proof holds no more."""
    db, settings, user_id = resources.database, resources.settings.session, proven.user.id
    opened = Opened(token_urlsafe(BYTES), token_urlsafe(BYTES), settings.absolute_timeout)
    async with db.transaction():
        await confirm(resources, proven)
        ended = await rows.delete_idlest(db, user_id, keep=settings.max_per_user - 1)
        session_id = await rows.insert_session(
            db,
            user_id,
            token_hash=hashed(opened.cookie),
            csrf_token=opened.csrf_token,
            address=_address(visitor),
            agent=visitor.agent,
            lifetime=opened.seconds,
        )
        for each in ended:
            await record(resources, SESSION_REVOKED, user_id, by=user_id, visitor=visitor, about=each)
        await record(resources, SIGNED_IN, user_id, by=user_id, visitor=visitor, about=session_id)
    await _close_sockets(resources, user_id, ended)
    return opened


async def end_cookies(resources: Resources, cookies: Sequence[str], visitor: Visitor) -> None:
    """End the sessions that a browser had when it signed in anew: nobody would sign out of them any more.

    A transaction each, since they may be of several users.
    """
    for token_hash in filter(None, map(_hash_of, cookies)):
        async with resources.database.transaction():
            row = await rows.delete_session_by_hash(resources.database, token_hash)
            if row is None:
                continue
            user_id = row["user_id"]
            await record(resources, SIGNED_OUT, user_id, by=user_id, visitor=visitor, about=row["id"])
        await _close_sockets(resources, user_id, [row["id"]])


async def sign_out(resources: Resources, user_id: UUID, session_id: UUID, visitor: Visitor) -> None:
    """Also where it has ended meanwhile: what was asked for is so."""
    async with resources.database.transaction():
        if await rows.delete_session(resources.database, user_id, session_id):
            await record(resources, SIGNED_OUT, user_id, by=user_id, visitor=visitor, about=session_id)
    await _close_sockets(resources, user_id, [session_id])


async def revoke_session(resources: Resources, user_id: UUID, session_id: UUID, visitor: Visitor) -> None:
    """Raises `NoSuchSession`, for another user's too."""
    async with resources.database.transaction():
        if not await rows.delete_session(resources.database, user_id, session_id):
            raise NoSuchSession
        await record(resources, SESSION_REVOKED, user_id, by=user_id, visitor=visitor, about=session_id)
    await _close_sockets(resources, user_id, [session_id])


async def revoke_others(resources: Resources, user_id: UUID, session_id: UUID | None, visitor: Visitor) -> None:
    """All sessions of the user but `session_id` (ASVS 7.4.3)."""
    async with resources.database.transaction():
        ended = await rows.delete_sessions(resources.database, user_id, but=session_id)
        await record(resources, SESSIONS_REVOKED, user_id, by=user_id, visitor=visitor, about=session_id or "")
    await _close_sockets(resources, user_id, ended)


async def renew_cookie(resources: Resources, session_id: UUID) -> tuple[str, float] | None:
    """A new cookie for the same session, and the seconds that are left of it; None where it is over.

    Whoever has shown the password again goes on alone: who has copied the cookie is out (ASVS 7.2.4). The CSRF token
    stays, so that pages that are open go on, too.
    """
    cookie = token_urlsafe(BYTES)
    left = await rows.renew_session(resources.database, session_id, token_hash=hashed(cookie))
    return None if left is None else (cookie, left)


async def list_sessions(
    resources: Resources, user_id: UUID, *, current: UUID | None, before: UUID | None, limit: int
) -> list[SessionLine]:
    """Those that hold, newest first."""
    idle = resources.settings.session.idle_timeout
    found = await rows.select_sessions(resources.database, user_id, idle=idle, before=before or LAST, limit=limit)
    return [_line(row, current) for row in found]


async def show_me(resources: Resources, user_id: UUID, session_id: UUID | None) -> Me:
    """Raises `Unauthorized` where the user is gone since."""
    row = await rows.select_me(resources.database, user_id, session_id)
    if row is None:
        raise Unauthorized
    return Me(user_of(row), row["csrf_token"])


def hashed(cookie: str) -> bytes:
    """What is stored: a cookie has 256 bits, so nobody finds it from this, and a fast hash will do."""
    return hashlib.sha256(cookie.encode()).digest()


def _hash_of(cookie: str) -> bytes | None:
    """None for what was never given out, which needs no look into the table."""
    return hashed(cookie) if COOKIE.fullmatch(cookie) else None


async def _close_sockets(resources: Resources, user_id: UUID, ended: Sequence[UUID]) -> None:
    for each in ended:
        await resources.realtime.disconnect(str(user_id), credential(Proof.SESSION, each))


def _address(visitor: Visitor) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(visitor.address)
    except ValueError:  # a Unix socket
        return None


def _line(row: Row, current: UUID | None) -> SessionLine:
    address = row["ip_address"]
    return SessionLine(
        row["id"],
        row["created_at"],
        row["last_seen_at"],
        row["expires_at"],
        None if address is None else str(address),
        row["user_agent"],
        current=row["id"] == current,
    )
