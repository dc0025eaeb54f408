"""Section `jwt`."""

from __future__ import annotations

from dataclasses import replace

from app.core.errors import Unauthorized
from app.features.identity.errors import BadRefreshToken
from app.features.identity.service.renewal import renew
from app.features.identity.service.tokens import caller_of, issue
from tests.effects.case import Trial, shows
from tests.effects.somebody import NEW, OLD, VISITOR, proven, somebody


@shows("jwt.secret", {OLD: True, NEW: False})
async def a_token_that_was_signed_with_the_old_secret_holds(trial: Trial) -> bool:
    return await _holds(trial, issued_under=f"jwt.secret={OLD}")


@shows("jwt.previous_secret", {"": False, OLD: True})
async def the_same_token_after_a_change_of_the_secret(trial: Trial) -> bool:
    return await _holds(trial, f"jwt.secret={NEW}", issued_under=f"jwt.secret={OLD}")


@shows("jwt.issuer", {"one": True, "another": False})
async def a_token_of_one_issuer_holds(trial: Trial) -> bool:
    return await _holds(trial, f"jwt.secret={OLD}", issued_under="jwt.issuer=one")


@shows("jwt.audience", {"one": True, "another": False})
async def a_token_for_one_audience_holds(trial: Trial) -> bool:
    return await _holds(trial, f"jwt.secret={OLD}", issued_under="jwt.audience=one")


async def _holds(trial: Trial, *stage: str, issued_under: str) -> bool:
    """Under the value on trial, a token that was issued under another setting."""
    async with somebody(trial, *stage) as (resources, person):
        then = replace(resources, settings=trial.usual(f"jwt.secret={OLD}", issued_under))
        pair = await issue(then, await proven(resources, person), VISITOR)
        try:
            await caller_of(resources, pair.access_token)
        except Unauthorized:
            return False
        return True


@shows("jwt.access_lifetime", {"60": 60, "120": 120})
async def seconds_that_an_access_token_holds(trial: Trial) -> int:
    async with somebody(trial) as (resources, person):
        return (await issue(resources, await proven(resources, person), VISITOR)).expires_in


@shows("jwt.refresh_lifetime", {"1000": 1000, "2000": 2000})
async def seconds_for_which_tokens_can_be_renewed(trial: Trial) -> int:
    async with somebody(trial) as (resources, person):
        await issue(resources, await proven(resources, person), VISITOR)
        lifetime = "SELECT round(extract(epoch FROM expires_at - created_at))::int FROM jwt_tokens"
        return int(await resources.database.fetch_val(f"{lifetime} WHERE token_type = 'refresh'"))


@shows("jwt.retry_window", {"0": False, "60": True})
async def a_refresh_token_that_is_sent_twice_gives_the_same_successor(trial: Trial) -> bool:
    async with somebody(trial) as (resources, person):
        pair = await issue(resources, await proven(resources, person), VISITOR)
        once = await renew(resources, VISITOR, pair.refresh_token)
        try:
            return await renew(resources, VISITOR, pair.refresh_token) == once
        except BadRefreshToken:
            return False
