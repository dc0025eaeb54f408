"""Who does the housekeeping of identity, and when; and who sends its mails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.features.identity.service import housekeeping, keys, mails, registration, resets
from app.features.identity.tasks import (
    CLOSE_ENDED_KEY,
    PREPARE_RESET,
    SEND_NOTICE,
    SEND_RESET,
    SEND_VERIFICATION,
    SWEEP_JWT_TOKENS,
    SWEEP_MAILS,
    SWEEP_SESSIONS,
    Forgotten,
    KeyEnd,
    NoticeMail,
    ResetMail,
    VerificationMail,
)
from app.features.mail import MailRefused
from app.tasks import Cron, Discard, Handler, Schedule, Work
from app.tasks.sweeping import Nothing


async def sweep_sessions(work: Work[Nothing]) -> None:
    await housekeeping.sweep_sessions(work.resources)


async def sweep_jwt_tokens(work: Work[Nothing]) -> None:
    await housekeeping.sweep_jwt_tokens(work.resources)


async def sweep_mails(work: Work[Nothing]) -> None:
    await housekeeping.sweep_mails(work.resources)


@contextmanager
def _mailing() -> Iterator[None]:
    """What no server will ever take is dead at once, and says why; anything else is tried again."""
    try:
        yield
    except MailRefused as error:
        raise Discard(str(error)) from error


async def send_verification(work: Work[VerificationMail]) -> None:
    with _mailing():
        await registration.send_verification(work.resources, work.idempotency_key, work.payload.registration_id)


async def prepare_reset(work: Work[Forgotten]) -> None:
    async with work.finishing():
        await resets.prepare(work.resources, work.payload)


async def send_reset(work: Work[ResetMail]) -> None:
    with _mailing():
        await resets.send_reset(work.resources, work.idempotency_key, work.payload)


async def close_ended_key(work: Work[KeyEnd]) -> None:
    await keys.close_ended(work.resources, work.payload)


async def send_notice(work: Work[NoticeMail]) -> None:
    with _mailing():
        await mails.send_notice(work.resources, work.idempotency_key, work.payload)


handlers: tuple[Handler[Any], ...] = (
    Handler(SWEEP_SESSIONS, sweep_sessions),
    Handler(SWEEP_JWT_TOKENS, sweep_jwt_tokens),
    Handler(SWEEP_MAILS, sweep_mails),
    Handler(SEND_VERIFICATION, send_verification),
    Handler(PREPARE_RESET, prepare_reset),
    Handler(SEND_RESET, send_reset),
    Handler(SEND_NOTICE, send_notice),
    Handler(CLOSE_ENDED_KEY, close_ended_key),
)

schedules: tuple[Schedule[Any], ...] = (
    Schedule("identity.sweep_sessions", Cron("37 * * * *"), SWEEP_SESSIONS, Nothing()),
    Schedule("identity.sweep_jwt_tokens", Cron("47 * * * *"), SWEEP_JWT_TOKENS, Nothing()),
    Schedule("identity.sweep_mails", Cron("57 * * * *"), SWEEP_MAILS, Nothing()),
)
