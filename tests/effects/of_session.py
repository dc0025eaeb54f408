"""Section `session`."""

from __future__ import annotations

from app.core.errors import Unauthorized
from app.core.resources import Resources
from app.core.settings import Secret
from app.features.identity.errors import BadToken
from app.features.identity.sealing import seal
from app.features.identity.service import registration
from app.features.identity.service.sessions import caller_of, open_session
from tests.effects.case import Trial, shows
from tests.effects.somebody import NEW, OLD, VISITOR, opened, proven, somebody

WAITING = """
INSERT INTO registrations (email, name, password_hash, expires_at)
VALUES ('eve@example.org', 'Eve', '-', now() + interval '1 hour') RETURNING id
"""


@shows("session.secret", {OLD: True, NEW: False})
async def a_mail_that_was_sealed_with_the_old_secret_confirms_an_address(trial: Trial) -> bool:
    async with opened(trial) as resources:
        return await _confirms(resources)


@shows("session.previous_secret", {"": False, OLD: True})
async def the_same_mail_after_a_change_of_the_secret(trial: Trial) -> bool:
    async with opened(trial, f"session.secret={NEW}") as resources:
        return await _confirms(resources)


async def _confirms(resources: Resources) -> bool:
    token = seal(Secret(OLD), "verify", await resources.database.fetch_val(WAITING))
    try:
        await registration.verify(resources, VISITOR, token)
    except BadToken:
        return False
    return True


@shows("session.require_second_factor", {"false": True, "true": False})
async def somebody_without_a_second_factor_has_signed_in_completely(trial: Trial) -> bool:
    async with somebody(trial) as (resources, person):
        session = await open_session(resources, await proven(resources, person), VISITOR)
        caller, _ = await caller_of(resources, session.cookie)
        return caller.complete


@shows("session.idle_timeout", {"50": False, "500": True})
async def a_session_that_was_not_used_for_a_while_holds(trial: Trial) -> bool:
    async with somebody(trial) as (resources, person):
        session = await open_session(resources, await proven(resources, person), VISITOR)
        await resources.database.execute("UPDATE sessions SET last_seen_at = now() - interval '100 seconds'")
        try:
            await caller_of(resources, session.cookie)
        except Unauthorized:
            return False
        return True


@shows("session.absolute_timeout", {"50000": 50_000, "100000": 100_000})
async def seconds_until_a_new_session_is_over(trial: Trial) -> int:
    async with somebody(trial) as (resources, person):
        await open_session(resources, await proven(resources, person), VISITOR)
        lifetime = "SELECT round(extract(epoch FROM expires_at - created_at))::int FROM sessions"
        return int(await resources.database.fetch_val(lifetime))


@shows("session.max_per_user", {"1": 1, "3": 3})
async def sessions_after_four_sign_ins(trial: Trial) -> int:
    async with somebody(trial) as (resources, person):
        for _ in range(4):
            await open_session(resources, await proven(resources, person), VISITOR)
        return int(await resources.database.fetch_val("SELECT count(*) FROM sessions"))
