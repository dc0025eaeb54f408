"""A socket for each audience, each of which says who opened it; a feature's own, with nothing of realtime in them."""

from __future__ import annotations

from quart import Blueprint, websocket

from app.core.errors import NotFound
from app.feature import Feature
from app.web import ADMIN, MINUTE, PUBLIC, SIGNED_IN, SOCKET, Audience, Limit, endpoint, find_caller
from tests.harness import signed_tokens

routes = Blueprint("sockets_of_all_audiences", __name__, url_prefix="/sockets")


async def greet() -> None:
    """Say who opened it, then give back what comes."""
    caller = find_caller()
    await websocket.send(caller.id if caller else "anybody")
    while True:
        await websocket.send(await websocket.receive())


@routes.websocket("/public")
@endpoint(PUBLIC)
async def public() -> None:
    await greet()


@routes.websocket("/user")
@endpoint(SIGNED_IN)
async def user() -> None:
    await greet()


@routes.websocket("/admin")
@endpoint(ADMIN)
async def admin() -> None:
    await greet()


@routes.websocket("/socket")
@endpoint(SOCKET.but(limits=()))
async def socket() -> None:
    await greet()


@routes.websocket("/operations")
@endpoint(PUBLIC.but(audience=Audience.OPERATIONS))
async def operations() -> None:
    await greet()


@routes.websocket("/limited")
@endpoint(SOCKET.but(limits=(Limit(2, MINUTE),)))
async def limited() -> None:
    await greet()


@routes.get("/limited")
@endpoint(PUBLIC.but(limits=(Limit(2, MINUTE),)))
async def limited_page() -> str:
    return "a page at the same address"


@routes.websocket("/leaves")
@endpoint(PUBLIC)
async def leaves() -> None:
    """Come to an end at once."""
    await websocket.accept()


@routes.websocket("/fails")
@endpoint(PUBLIC)
async def fails() -> None:
    await websocket.accept()
    raise RuntimeError("on purpose")


@routes.websocket("/fails-at-once")
@endpoint(PUBLIC)
async def fails_at_once() -> None:
    raise RuntimeError("on purpose, before the handshake is accepted")


@routes.websocket("/closes-at-once")
@endpoint(PUBLIC)
async def closes_at_once() -> None:
    await websocket.close(1008)


@routes.websocket("/returns-at-once")
@endpoint(PUBLIC)
async def returns_at_once() -> None:
    """Neither accept nor refuse, by mistake."""


@routes.websocket("/declines/<name>")
@endpoint(PUBLIC)
async def declines(name: str) -> None:
    raise NotFound(f"There is no {name}.")


feature = Feature("sockets_of_all_audiences", (routes,), authenticate=signed_tokens.authenticate)
