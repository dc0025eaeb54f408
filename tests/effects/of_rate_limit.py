"""Section `rate_limit`."""

from __future__ import annotations

from contextlib import suppress

import httpx
from quart import Blueprint

from app.core.redis import open_redis
from app.feature import Feature
from app.features.identity import throttle
from app.features.identity.errors import TooManyMails, TooManyTries
from app.web import MINUTE, PUBLIC, Limit, Policy, endpoint
from tests.effects.case import Trial, shows
from tests.effects.somebody import opened
from tests.effects.starting import serving

PATIENT = "redis.timeout=30"


@shows("rate_limit.enabled", {"true": 2, "false": 4})
async def requests_that_pass_a_route_with_a_limit(trial: Trial) -> int:
    return await _passed(trial, PUBLIC.but(limits=(Limit(2, MINUTE),)))


@shows("rate_limit.per_minute", {"0": 4, "1": 1, "3": 3})
async def requests_that_pass_a_route_that_declares_no_limit(trial: Trial) -> int:
    return await _passed(trial, PUBLIC)


async def _passed(trial: Trial, policy: Policy) -> int:
    """How many of four requests."""
    routes = Blueprint("limited", __name__)

    @routes.get("/limited")
    @endpoint(policy)
    async def limited() -> str:
        return "in"

    settings = trial.settings("server.port=0", PATIENT)
    async with serving(settings, Feature("limited", (routes,))) as served, httpx.AsyncClient() as client:
        answers = [await client.get(f"{served.url}/limited") for _ in range(4)]
    async with open_redis(settings.redis) as redis:
        await redis.execute("FLUSHDB")  # of this worker's own: the next trial begins with nothing counted
    return [answer.status_code for answer in answers].count(200)


@shows("rate_limit.sign_ins_per_account", {"1": 1, "3": 3})
async def tries_to_sign_in_to_one_account(trial: Trial) -> int:
    return await _tries(trial, *["ada@example.org"] * 4)


@shows("rate_limit.sign_ins_per_address", {"1": 1, "3": 3})
async def tries_to_sign_in_from_one_address(trial: Trial) -> int:
    return await _tries(trial, *(f"{number}@example.org" for number in range(4)))


async def _tries(trial: Trial, *emails: str) -> int:
    """How many of them are let through."""
    passed = 0
    async with opened(trial) as resources:
        for email in emails:
            with suppress(TooManyTries):
                await throttle.try_sign_in(resources, email, "192.0.2.7")
                passed += 1
    return passed


@shows("rate_limit.mails_per_account", {"1": 1, "3": 3})
async def mails_that_strangers_can_have_sent_to_one_address(trial: Trial) -> int:
    passed = 0
    async with opened(trial) as resources:
        for number in range(4):
            with suppress(TooManyMails):
                await throttle.try_mail(resources, "ada@example.org", f"192.0.2.{number}")
                passed += 1
    return passed
