"""What identity does later: its housekeeping, and the mails it sends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.queue import Task
from app.tasks.sweeping import sweeping_task

SWEEP_SESSIONS = sweeping_task("identity.sweep_sessions")
SWEEP_JWT_TOKENS = sweeping_task("identity.sweep_jwt_tokens")
SWEEP_MAILS = sweeping_task("identity.sweep_mails")


class Notice(StrEnum):
    """What a user is told of by mail, so that they hear of it if it was somebody else (ASVS 5.0, 6.3.7)."""

    PASSWORD_CHANGED = "password_changed"  # noqa: S105  (a word)
    PASSWORD_RESET = "password_reset"  # noqa: S105  (a word)
    SECOND_FACTOR_ADDED = "second_factor_added"
    SECOND_FACTOR_REMOVED = "second_factor_removed"
    RECOVERY_CODE_USED = "recovery_code_used"
    EXTERNAL_LINKED = "external_linked"


@dataclass(frozen=True)
class VerificationMail:
    """Which registration waits for its mail. No token: tasks are kept, and operators read them."""

    registration_id: UUID


@dataclass(frozen=True)
class Forgotten:
    """Who says to have forgotten a password, from where. Whether they exist is looked up later, out of earshot."""

    email: str
    asked_from: str


@dataclass(frozen=True)
class ResetMail:
    """Which user waits for which reset; without one there is no password to be reset, and they are told so."""

    user_id: UUID
    reset_id: UUID | None


@dataclass(frozen=True)
class NoticeMail:
    """What happened to a user, and when."""

    user_id: UUID
    about: Notice
    at: datetime


@dataclass(frozen=True)
class KeyEnd:
    """Whose key ends, which was rotated and held on for a while."""

    user_id: UUID
    key_id: UUID


CLOSE_ENDED_KEY = Task("identity.close_ended_key", KeyEnd)

# Above the longest `email.timeout`; ten retries are spread over half an hour.
MAIL_TIMEOUT, MAIL_RETRIES = 150.0, 10

SEND_VERIFICATION = Task("identity.send_verification", VerificationMail, timeout=MAIL_TIMEOUT, retries=MAIL_RETRIES)
PREPARE_RESET = Task("identity.prepare_reset", Forgotten)
SEND_RESET = Task("identity.send_reset", ResetMail, timeout=MAIL_TIMEOUT, retries=MAIL_RETRIES)
SEND_NOTICE = Task("identity.send_notice", NoticeMail, timeout=MAIL_TIMEOUT, retries=MAIL_RETRIES)
