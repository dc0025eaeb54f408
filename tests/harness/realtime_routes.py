"""Topics and routes that only tests have: what can be listened to, and pushing from outside.

`app_process(module="tests.harness.realtime_routes")`; its callers are those of `signed_tokens`.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from quart import Blueprint, request, websocket
from sqlalchemy import text

from app.core.errors import Conflict, ServiceUnavailable
from app.feature import Feature
from app.sockets import Asked, Topic, admins, anybody, hub, signed_in
from app.web import PUBLIC, SOCKET, endpoint, resources
from tests.harness import signed_tokens

routes = Blueprint("realtime_tests", __name__, url_prefix="/test/realtime")
OPEN = PUBLIC.but(idempotency=False)


@routes.post("/topics/<topic>")
@endpoint(OPEN)
async def publish(topic: str) -> dict[str, bool]:
    """Push the body to whoever listens to a topic."""
    return {"taken": await resources().realtime.publish(topic, await request.get_json())}


@routes.post("/users/<user_id>")
@endpoint(OPEN)
async def send_to_user(user_id: str) -> dict[str, bool]:
    """Push the body to a user."""
    return {"taken": await resources().realtime.send_to_user(user_id, await request.get_json())}


@routes.post("/everyone")
@endpoint(OPEN)
async def broadcast() -> dict[str, bool]:
    """Push the body to everybody."""
    return {"taken": await resources().realtime.broadcast(await request.get_json())}


@routes.post("/sign-outs/<user_id>")
@endpoint(OPEN)
async def disconnect(user_id: str) -> dict[str, bool]:
    """Sign a user out, or one session of theirs (`?credential=`)."""
    return {"taken": await resources().realtime.disconnect(user_id, request.args.get("credential"))}


@routes.get("")
@endpoint(OPEN)
async def state() -> dict[str, Any]:
    """What this process holds: its sockets, the topics that somebody hears, and its tasks."""
    manager = hub().manager
    return {
        "pid": os.getpid(),
        "connections": manager.connection_count(),
        "topics": {topic: len(manager.listeners(topic)) for topic in manager.topics()},
        "connected": hub().fanout.connected,
        "tasks": len(asyncio.all_tasks()),
    }


@routes.websocket("/echo")
@endpoint(SOCKET)
async def echo() -> None:
    """Say everything back: a socket of a feature's own."""
    while True:
        await websocket.send(await websocket.receive())


async def own_order(asked: Asked) -> bool:
    """`orders:<owner>-<number>`."""
    return asked.caller is not None and asked.parameters["id"].startswith(f"{asked.caller.id}-")


async def polite(asked: Asked) -> bool:
    """Whoever has signed in may say what is no curse."""
    return asked.caller is not None and asked.data != "curse"


async def closed(_: Asked) -> bool:
    raise Conflict("This shop is closed.")


async def for_ever(_: Asked) -> bool:
    await asyncio.Event().wait()
    return True


async def asks_the_database(asked: Asked) -> bool:
    await asked.resources.database.execute("SELECT pg_sleep(:seconds)", {"seconds": float(asked.parameters["seconds"])})
    return True


async def gone(asked: Asked) -> bool:
    await asked.resources.database.fetch_existing(text("SELECT 1 WHERE false"))
    return True


async def out_of_order(_: Asked) -> bool:
    raise ServiceUnavailable("The weather office does not answer.")


async def impatient(_: Asked) -> bool:
    raise TimeoutError


async def mistaken(_: Asked) -> bool:
    raise ZeroDivisionError("a mistake in a rule")


topics = (
    Topic("news", subscribe=anybody),
    Topic("news:{place}", subscribe=anybody),
    Topic("orders:{id}", subscribe=own_order),
    Topic("chat:{room}", subscribe=signed_in, publish=polite),
    Topic("wall", subscribe=anybody, publish=anybody),
    Topic("audit", subscribe=admins),
    Topic("shop", subscribe=closed),
    Topic("stuck", subscribe=for_ever),
    Topic("stuck:{seconds}", subscribe=asks_the_database),
    Topic("gone", subscribe=gone),
    Topic("weather", subscribe=out_of_order),
    Topic("impatient", subscribe=impatient),
    Topic("mistake", subscribe=mistaken, publish=mistaken),
)

feature = Feature(
    "realtime_tests",
    (routes,),
    topics=topics,
    authenticate=signed_tokens.authenticate,
    review=signed_tokens.review,
)
