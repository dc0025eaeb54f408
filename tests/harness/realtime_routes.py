"""A feature with topics, that only tests have, and routes that push what a test tells them.

`room:{id}` is open to anybody and takes messages of whoever is signed in, `orders:{id}` is open to the one whom the
order's id names (`orders:ada-1` is ada's). Each answers `{"taken": ...}`, what the publisher has returned.
"""

from __future__ import annotations

from typing import Any

from quart import Blueprint, request

from app.feature import Feature
from app.sockets import Asked, Topic, anybody, signed_in
from app.web import PUBLIC, endpoint, resources
from tests.harness.signed_tokens import authenticate, review

OPEN = PUBLIC.but(limits=(), idempotency=False)

routes = Blueprint("realtime_tests", __name__, url_prefix="/test/realtime")


async def may_see_order(asked: Asked) -> bool:
    owner, _, _ = asked.parameters["id"].partition("-")
    return asked.caller is not None and asked.caller.id == owner


@routes.post("/publish")
@endpoint(OPEN)
async def publish() -> dict[str, Any]:
    """`{"topic", "data"}`"""
    told = await request.get_json()
    return {"taken": await resources().realtime.publish(told["topic"], told["data"])}


@routes.post("/user")
@endpoint(OPEN)
async def send_to_user() -> dict[str, Any]:
    """`{"user", "data"}`"""
    told = await request.get_json()
    return {"taken": await resources().realtime.send_to_user(told["user"], told["data"])}


@routes.post("/broadcast")
@endpoint(OPEN)
async def broadcast() -> dict[str, Any]:
    """`{"data"}`"""
    told = await request.get_json()
    return {"taken": await resources().realtime.broadcast(told["data"])}


@routes.post("/disconnect")
@endpoint(OPEN)
async def disconnect() -> dict[str, Any]:
    """`{"user"}`, and `credential` where only its sockets are meant."""
    told = await request.get_json()
    return {"taken": await resources().realtime.disconnect(told["user"], told.get("credential"))}


feature = Feature(
    "realtime_tests",
    routes=(routes,),
    topics=(Topic("room:{id}", subscribe=anybody, publish=signed_in), Topic("orders:{id}", subscribe=may_see_order)),
    authenticate=authenticate,
    review=review,
)
