"""`/api/v1/sessions`: The sessions of whoever calls."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from quart import Blueprint

from app.features.identity.cookies import forgetting
from app.features.identity.credentials import NO_STORE, session_id, user_id
from app.features.identity.errors import CsrfRefused, NoSuchSession
from app.features.identity.service import sessions
from app.features.identity.service.sessions import SessionLine
from app.features.identity.visitors import visitor
from app.web import SIGNED_IN, Page, PageQuery, current_caller, decode_cursor, endpoint, page_of, resources

routes = Blueprint("sessions", __name__, url_prefix="/api/v1/sessions")

OWN = SIGNED_IN.but(idempotency=False)


@routes.get("")
@endpoint(OWN, answers={200: Page[SessionLine]})
async def list_sessions(query: PageQuery) -> tuple[Page[SessionLine], int, dict[str, str]]:
    """List the browsers in which you are signed in, newest first."""
    caller = current_caller()
    found = await sessions.list_sessions(
        resources(),
        user_id(caller),
        current=session_id(caller),
        before=_behind(query),
        limit=query.limit + 1,
    )
    return page_of(found, query.limit, key=lambda line: (line.id,)), 200, NO_STORE


@routes.delete("")
@endpoint(OWN, answers={204: None}, errors=(CsrfRefused,))
async def revoke_others() -> tuple[str, int, dict[str, str]]:
    """Sign out all other browsers.

    A program, which has no session of its own, signs out all of them.
    """
    caller = current_caller()
    await sessions.revoke_others(resources(), user_id(caller), session_id(caller), visitor())
    return "", 204, NO_STORE


@routes.delete("/<uuid:revoked_id>")
@endpoint(OWN, answers={204: None}, errors=(CsrfRefused, NoSuchSession))
async def revoke(revoked_id: UUID) -> tuple[str, int, dict[str, str]]:
    """Sign one browser out.

    Its sockets are closed, too. For the browser that asks it is the same as signing out.
    """
    caller = current_caller()
    await sessions.revoke_session(resources(), user_id(caller), revoked_id, visitor())
    return "", 204, NO_STORE | (forgetting() if revoked_id == session_id(caller) else {})


def _behind(query: PageQuery) -> UUID | None:
    if query.cursor is None:
        return None
    (found,) = decode_cursor(query.cursor, (UUID,))
    return cast(UUID, found)
