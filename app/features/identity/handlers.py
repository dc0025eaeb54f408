"""Who does the housekeeping of identity, and when."""

from __future__ import annotations

from typing import Any

from app.features.identity.service import housekeeping
from app.features.identity.tasks import SWEEP_JWT_TOKENS, SWEEP_MAILS, SWEEP_SESSIONS
from app.tasks import Cron, Handler, Schedule, Work
from app.tasks.sweeping import Nothing


async def sweep_sessions(work: Work[Nothing]) -> None:
    await housekeeping.sweep_sessions(work.resources)


async def sweep_jwt_tokens(work: Work[Nothing]) -> None:
    await housekeeping.sweep_jwt_tokens(work.resources)


async def sweep_mails(work: Work[Nothing]) -> None:
    await housekeeping.sweep_mails(work.resources)


handlers: tuple[Handler[Any], ...] = (
    Handler(SWEEP_SESSIONS, sweep_sessions),
    Handler(SWEEP_JWT_TOKENS, sweep_jwt_tokens),
    Handler(SWEEP_MAILS, sweep_mails),
)

schedules: tuple[Schedule[Any], ...] = (
    Schedule("identity.sweep_sessions", Cron("37 * * * *"), SWEEP_SESSIONS, Nothing()),
    Schedule("identity.sweep_jwt_tokens", Cron("47 * * * *"), SWEEP_JWT_TOKENS, Nothing()),
    Schedule("identity.sweep_mails", Cron("57 * * * *"), SWEEP_MAILS, Nothing()),
)
