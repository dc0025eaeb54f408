"""Section `rate_limit`."""

from __future__ import annotations

import httpx
from quart import Blueprint

from app.core.redis import open_redis
from app.feature import Feature
from app.web import MINUTE, PUBLIC, Limit, Policy, endpoint
from tests.effects.case import Trial, shows
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
