"""`/api/v1/users`: Users, for administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast
from uuid import UUID

from msgspec import Meta
from quart import Blueprint

from app.features.identity.credentials import NO_STORE, user_id
from app.features.identity.errors import CsrfRefused, LastAdmin, NoSuchKey, NoSuchUser
from app.features.identity.models import User
from app.features.identity.service import keys, sessions, users
from app.features.identity.service.keys import ApiKey
from app.features.identity.service.sessions import SessionLine
from app.features.identity.service.users import UserChange
from app.features.identity.visitors import visitor
from app.web import ADMIN, Page, PageQuery, current_caller, decode_cursor, endpoint, page_of, resources
from app.web.audience import KeyForbidden

routes = Blueprint("users", __name__, url_prefix="/api/v1/users")

READING = ADMIN.but(permission="users:read")
WRITING = ADMIN.but(permission="users:write", idempotency=False)


@dataclass(frozen=True)
class UserQuery(PageQuery):
    """Which users: those whose e-mail address begins with `q`."""

    q: Annotated[str, Meta(max_length=254, pattern=r"^[^\x00]*$")] = ""


@routes.get("")
@endpoint(READING, answers={200: Page[User]})
async def list_users(query: UserQuery) -> Any:  # noqa: ANN401  (a dataclass with headers)
    """List users, newest first."""
    found = await users.list_users(resources().database, prefix=query.q, before=_behind(query), limit=query.limit + 1)
    return page_of(found, query.limit, key=lambda user: (user.id,)), 200, NO_STORE


@routes.get("/<uuid:shown_id>")
@endpoint(READING, answers={200: User}, errors=(NoSuchUser,))
async def show(shown_id: UUID) -> Any:  # noqa: ANN401  (a dataclass with headers)
    """Show one user."""
    return await users.show_user(resources().database, shown_id), 200, NO_STORE


@routes.patch("/<uuid:changed_id>")
@endpoint(WRITING, answers={200: User}, errors=(NoSuchUser, LastAdmin, CsrfRefused, KeyForbidden))
async def change(changed_id: UUID, body: UserChange) -> Any:  # noqa: ANN401  (a dataclass with headers)
    """Change the name of a user, the role, or whether they may sign in.

    Who is deactivated is signed out everywhere at once, sockets included, and no API key of theirs opens anything. The
    last administrator stays one. An API key changes no role: what it makes would outlive its own revocation.
    """
    if body.role is not None and current_caller().permissions is not None:
        raise KeyForbidden("An API key gives nobody another role; sign in to do that.")
    changed = await users.change_user(resources(), changed_id, body, by=user_id(current_caller()), visitor=visitor())
    return changed, 200, NO_STORE


@routes.get("/<uuid:owner_id>/sessions")
@endpoint(READING, answers={200: Page[SessionLine]}, errors=(NoSuchUser,))
async def list_sessions(owner_id: UUID, query: PageQuery) -> Any:  # noqa: ANN401  (a dataclass with headers)
    """List the browsers in which a user is signed in, newest first."""
    await users.show_user(resources().database, owner_id)
    found = await sessions.list_sessions(
        resources(), owner_id, current=None, before=_behind(query), limit=query.limit + 1
    )
    return page_of(found, query.limit, key=lambda line: (line.id,)), 200, NO_STORE


@routes.delete("/<uuid:owner_id>/sessions")
@endpoint(WRITING, answers={204: None}, errors=(NoSuchUser, CsrfRefused))
async def end_sessions(owner_id: UUID) -> tuple[str, int]:
    """Sign a user out everywhere.

    Browsers and programs with tokens; sockets are closed. API keys hold.
    """
    await users.end_sign_ins(resources(), owner_id, by=user_id(current_caller()), visitor=visitor())
    return "", 204


@routes.get("/<uuid:owner_id>/api-keys")
@endpoint(READING, answers={200: Page[ApiKey]}, errors=(NoSuchUser,))
async def list_keys(owner_id: UUID, query: PageQuery) -> Any:  # noqa: ANN401  (a dataclass with headers)
    """List the API keys of a user, newest first, those that are over, too."""
    db = resources().database
    await users.show_user(db, owner_id)
    found = await keys.list_keys(db, owner_id, before=_behind(query), limit=query.limit + 1)
    return page_of(found, query.limit, key=lambda key: (key.id,)), 200, NO_STORE


@routes.delete("/<uuid:owner_id>/api-keys/<uuid:key_id>")
@endpoint(WRITING, answers={204: None}, errors=(NoSuchKey, CsrfRefused))
async def revoke_key(owner_id: UUID, key_id: UUID) -> tuple[str, int]:
    """Revoke an API key of a user, at once and for good."""
    await keys.revoke_key(resources(), owner_id, key_id, by=user_id(current_caller()), visitor=visitor())
    return "", 204


def _behind(query: PageQuery) -> UUID:
    if query.cursor is None:
        return users.NEWEST
    (found,) = decode_cursor(query.cursor, (UUID,))
    return cast(UUID, found)
