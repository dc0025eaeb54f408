"""The end of all that a user has signed in with; keys of machines are not sign-ins, and stay."""

from __future__ import annotations

from uuid import UUID

from app.core.resources import Resources
from app.features.identity.repository.sessions import delete_sessions, lock_user, revoke_tokens_of


async def end_everything(resources: Resources, user_id: UUID, *, but_session: UUID | None = None) -> None:
    """Needs the caller's open transaction, which also records why; raises `NoTransaction` without one.

    The sockets are closed by the caller, once that transaction is committed: `Publisher.disconnect(str(user_id))`.
    """
    db = resources.database
    db.open_transaction()
    await lock_user(db, user_id)  # who signs in at this moment comes before it, or sees what has changed
    await delete_sessions(db, user_id, but=but_session)
    await revoke_tokens_of(db, user_id)
