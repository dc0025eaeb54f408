"""The housekeeping of identity, as work to be done."""

from __future__ import annotations

from app.tasks.sweeping import sweeping_task

SWEEP_SESSIONS = sweeping_task("identity.sweep_sessions")
SWEEP_JWT_TOKENS = sweeping_task("identity.sweep_jwt_tokens")
SWEEP_MAILS = sweeping_task("identity.sweep_mails")
