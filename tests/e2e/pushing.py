"""Routes that push what a test posts to them, and topics for a browser to listen to: the server of the page's tests."""

from __future__ import annotations

from quart import Blueprint, request

from app.feature import Feature
from app.sockets import Topic, anybody, signed_in
from app.web import PUBLIC, endpoint, resources
from tests.harness.signed_tokens import authenticate

routes = Blueprint("pushing", __name__, url_prefix="/test/push")
OPEN = PUBLIC.but(idempotency=False)


@routes.post("/everyone")
@endpoint(OPEN)
async def to_everyone() -> dict[str, bool]:
    """Push the body to every socket."""
    return {"taken": await resources().realtime.broadcast(await request.get_json())}


@routes.post("/<topic>")
@endpoint(OPEN)
async def to_topic(topic: str) -> dict[str, bool]:
    """Push the body to a topic."""
    return {"taken": await resources().realtime.publish(topic, await request.get_json())}


@routes.delete("/users/<user_id>")
@endpoint(OPEN)
async def sign_out(user_id: str) -> dict[str, bool]:
    """Close the sockets of a user."""
    return {"taken": await resources().realtime.disconnect(user_id)}


feature = Feature(
    name="pushing",
    routes=(routes,),
    topics=(Topic("room:{id}", subscribe=anybody, publish=signed_in), Topic("desk:{id}", subscribe=signed_in)),
    authenticate=authenticate,
)
