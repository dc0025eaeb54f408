"""`/ws`: one socket for everything that is pushed."""

from __future__ import annotations

from quart import Blueprint, websocket

from app.sockets import hub
from app.sockets.wire import wire_of
from app.web import SOCKET, endpoint
from app.web.exchange import exchange_of

routes = Blueprint("realtime", __name__)


@routes.websocket("/ws")
@endpoint(SOCKET)
async def socket() -> None:
    """Hold a conversation: what is pushed to the topics that the client subscribes to.

    Who calls is known before it is accepted.
    """
    exchange, wire = exchange_of(websocket.scope), wire_of(websocket.scope)
    if wire is None:
        raise RuntimeError("This server offers no wire: sockets are served by `app serve` only.")
    id_ = hub().id_for(exchange.request_id)
    await websocket.accept()
    await hub().serve(wire, websocket.receive, id_=id_, caller=exchange.caller, client=exchange.client)
