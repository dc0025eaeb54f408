"""What `make bench-sockets` asks of the kit beyond its own routes: to push, to this process or to all."""

from __future__ import annotations

from quart import Blueprint, request

from app.core.json import dumps
from app.core.realtime.messages import EVERYONE
from app.feature import Feature
from app.sockets import hub
from app.sockets.frames import event_frame
from app.web import PUBLIC, endpoint, resources

routes = Blueprint("bench", __name__, url_prefix="/bench")


@routes.post("/broadcast")
@endpoint(PUBLIC.but(idempotency=False))
async def broadcast() -> dict[str, int]:
    """To every socket of this process."""
    return {"sent": await hub().manager.broadcast(event_frame(EVERYONE, 0, dumps(await request.get_json())))}


@routes.post("/publish")
@endpoint(PUBLIC.but(idempotency=False))
async def publish() -> dict[str, bool]:
    """To every socket of every process, through Redis."""
    return {"published": await resources().realtime.broadcast(await request.get_json())}


feature = Feature(name="bench", routes=(routes,))
