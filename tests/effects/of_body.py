"""Section `server`: what it says about the bodies of requests."""

from __future__ import annotations

from quart import Blueprint, request

from app.core.lifecycle import Lifecycle
from app.feature import Feature
from app.server.app import create_app
from app.web import PUBLIC, Application, endpoint
from tests.effects.case import Trial, limits, shows


@endpoint(PUBLIC)
async def read() -> str:
    return str(len(await request.get_data()))


def reader(trial: Trial) -> Application:
    routes = Blueprint("reader", __name__)
    routes.add_url_rule("/", view_func=read, methods=["POST"])
    # Requests are not counted here, which would ask Redis.
    return create_app(trial.settings("rate_limit.enabled=false"), [Feature("reader", (routes,))], lifecycle=Lifecycle())


@shows("server.body_limit", {"1000": 413, "1001": 200})
async def the_answer_to_a_body(trial: Trial) -> int:
    return (await reader(trial).test_client().post("/", data=b"x" * 1001)).status_code


@limits("server.body_timeout")
async def a_body_that_never_ends_is_answered(trial: Trial) -> None:
    async with reader(trial).test_client().request("/", method="POST") as stalling:
        await stalling.send(b"")

    assert (await stalling.as_response()).status_code == 408
