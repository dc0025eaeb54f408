"""What happens to who may sign in: one event for every act that matters to security.

All carry an `Act`; the aggregate is the user. They are written in the transaction of the act, so that there is one
exactly where it happened. Subscribe to them to tell people, or to feed a log that nobody can change.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.core.queue import Event


@dataclass(frozen=True)
class Act:
    """Who did what to whom: no secret, and no more of a person than their id.

    `by` is who acted: the user, an administrator, or None for a stranger or the command line. `address` is where the
    request came from, empty for the command line. `about` names the thing: the id of a session, a key, a token family,
    or a word such as the reason of a refusal.
    """

    user_id: UUID | None
    by: UUID | None
    address: str
    about: str = ""


def _act(name: str) -> Event[Act]:
    return Event(f"identity.{name}", Act, aggregate="user")


REGISTERED = _act("registered")
EMAIL_VERIFIED = _act("email_verified")
SIGNED_IN = _act("signed_in")
SIGN_IN_FAILED = _act("sign_in_failed")
SIGNED_OUT = _act("signed_out")
SESSION_REVOKED = _act("session_revoked")
SESSIONS_REVOKED = _act("sessions_revoked")
PASSWORD_CHANGED = _act("password_changed")
PASSWORD_RESET_ASKED = _act("password_reset_asked")
PASSWORD_RESET = _act("password_reset")
TOKENS_ISSUED = _act("tokens_issued")
TOKENS_REVOKED = _act("tokens_revoked")
TOKEN_REUSED = _act("token_reused")
KEY_CREATED = _act("key_created")
KEY_ROTATED = _act("key_rotated")
KEY_REVOKED = _act("key_revoked")
SECOND_FACTOR_ADDED = _act("second_factor_added")
SECOND_FACTOR_REMOVED = _act("second_factor_removed")
RECOVERY_CODE_USED = _act("recovery_code_used")
RECOVERY_CODES_MADE = _act("recovery_codes_made")
USER_CREATED = _act("user_created")
USER_CHANGED = _act("user_changed")
USER_ACTIVATED = _act("user_activated")
USER_DEACTIVATED = _act("user_deactivated")
ROLE_CHANGED = _act("role_changed")
EXTERNAL_LINKED = _act("external_linked")

EVENTS: tuple[Event[Act], ...] = tuple(each for each in list(globals().values()) if isinstance(each, Event))
