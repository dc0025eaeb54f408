"""Sockets whose handlers tell what they were told, and one that listens to nobody."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from typing import Any

from quart import Blueprint, request, websocket

from app.core.errors import Forbidden, ServiceUnavailable
from app.feature import Feature
from app.sockets.frames import encode
from app.sockets.wire import wire_of
from app.web import PUBLIC, endpoint
from tests.harness import fault_routes
from tests.harness.fault_routes import application

routes = Blueprint("frames", __name__, url_prefix="/test")

told: dict[str, dict[str, Any]] = {}  # by the name that a client gave itself


@routes.websocket("/told")
@endpoint(PUBLIC)
async def listen() -> None:
    """Answers each message with its kind and its size, and notes how it ended."""
    wire = wire_of(websocket.scope)
    assert wire is not None
    notes = told[websocket.args["name"]] = {"end": "open", "code": None}
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive()
            await websocket.send(f"{type(message).__name__} {len(message)}")
    except asyncio.CancelledError:
        notes.update(end="cancelled", code=wire.close_code)
        raise


@routes.websocket("/deaf")
@endpoint(PUBLIC)
async def deaf() -> None:
    """Takes nothing."""
    await websocket.accept()
    await asyncio.Event().wait()


@routes.websocket("/busy")
@endpoint(PUBLIC)
async def busy() -> None:
    """Takes a message each `?seconds=`, and then does something that takes as long."""
    notes = told[websocket.args["name"]] = {"handled": []}
    while True:
        message = await websocket.receive()
        await asyncio.sleep(float(websocket.args["seconds"]))
        notes["handled"].append(message)


FAILURES: dict[str, BaseException] = {
    "mistake": RuntimeError("a crash on purpose"),
    "exit": SystemExit(3),
    "timeout": TimeoutError(),
    "astray": asyncio.CancelledError(),
    "refused": Forbidden("Not for you."),
    "unavailable": ServiceUnavailable(),
}


@routes.websocket("/fail")
@endpoint(PUBLIC)
async def fail() -> None:
    """Raises what the first message asks for; `return` comes to an end."""
    wanted = await websocket.receive()
    if wanted in FAILURES:
        raise FAILURES[str(wanted)]


@routes.websocket("/goodbye")
@endpoint(PUBLIC)
async def leave() -> None:
    """Closes with `?code=`, and does something after that."""
    await websocket.accept()
    await websocket.close(int(websocket.args["code"]), "enough")
    await asyncio.sleep(0.1)
    told["goodbye"] = {"done": True}


@routes.websocket("/late")
@endpoint(PUBLIC)
async def late() -> None:
    """Thinks for a minute before it accepts."""
    await asyncio.sleep(60)
    await websocket.accept()


@routes.websocket("/mixed")
@endpoint(PUBLIC)
async def mix() -> None:
    """Sends a hundred numbers, the even ones as handlers do and the odd ones as the service does, and closes."""
    wire = wire_of(websocket.scope)
    assert wire is not None
    wire.write(encode("before it is open"))
    await websocket.accept()
    gone: list[str] = []
    wire.on_gone(lambda: gone.append("gone"))
    for number in range(0, 100, 2):
        await websocket.send(str(number))
        wire.write(encode(str(number + 1)))
    wire.close(4000, "done")
    wire.write(encode("behind the close frame"))
    wire.close(4001)
    told["mixed"] = {"open": wire.is_open, "code": wire.close_code, "sent": wire.sent, "gone": gone}
    await websocket.receive()
    told["mixed"]["went on"] = True


@routes.websocket("/no")
@endpoint(PUBLIC)
async def refuse() -> None:
    """Closes what it has not accepted."""
    await websocket.close(1008, "not you")


@routes.websocket("/subprotocol")
@endpoint(PUBLIC)
async def speak() -> None:
    """Accepts with what `?name=` says, offered or not."""
    await websocket.accept(subprotocol=websocket.args["name"])
    await websocket.receive()


@routes.websocket("/push")
@endpoint(PUBLIC)
async def push() -> None:
    """Sends messages of 64 KiB as fast as they are taken."""
    await websocket.accept()
    while True:
        await websocket.send("x" * 65536)


@routes.get("/told")
@endpoint(PUBLIC)
async def what_was_told() -> dict[str, Any]:
    """What the handlers noted, and what the process holds."""
    return {
        "told": told.get(request.args.get("name", "")),
        "tasks": len(asyncio.all_tasks()),
        "handlers": len(application().websockets),
    }


OF_A_CONNECTION = ("app.server", "hypercorn.asyncio", "hypercorn.protocol", "uvicorn.protocols", "httptools", "wsproto")


@routes.get("/alive")
@endpoint(PUBLIC)
async def what_is_alive() -> dict[str, int]:
    """How many objects there are of those that servers make for a connection; from now on nobody looks for circles."""
    gc.disable()
    alive = (type(each) for each in gc.get_objects())
    return Counter(each.__name__ for each in alive if each.__module__.startswith(OF_A_CONNECTION))


feature = Feature(name="frames", routes=(routes, fault_routes.routes))
