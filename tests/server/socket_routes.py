"""Sockets that only tests have, and what the process holds because of them."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import psutil
from quart import Blueprint, request, websocket

from app.feature import Feature
from app.sockets import hub
from app.sockets.frames import encode
from app.sockets.wire import Wire, wire_of
from app.web import PUBLIC, endpoint, resources
from tests.harness.fault_routes import application

routes = Blueprint("sockets", __name__, url_prefix="/test")

listening: dict[Wire, str] = {}  # and the group of each


@routes.websocket("/listen")
@endpoint(PUBLIC)
async def listen() -> None:
    """Takes what comes, and hears what is broadcast to its `?group=`."""
    wire = wire_of(websocket.scope)
    assert wire is not None
    await websocket.accept()
    listening[wire] = websocket.args.get("group", "")
    try:
        while True:
            await websocket.receive()
    finally:
        del listening[wire]


@routes.websocket("/late")
@endpoint(PUBLIC)
async def late() -> None:
    """Accepts after `?seconds=`: a handshake that is still being looked at."""
    await asyncio.sleep(float(websocket.args["seconds"]))
    await websocket.accept()
    while True:
        await websocket.receive()


@routes.websocket("/stubborn")
@endpoint(PUBLIC)
async def stubborn() -> None:
    """A handler that hears of no end before its connection is gone, and then needs `?seconds=` to clear up."""
    await websocket.accept()
    try:
        await websocket.receive()
    finally:
        deaf_until = time.monotonic() + 1.8  # the peer has a second for its close frame
        while (left := deaf_until - time.monotonic()) > 0:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(left)
        await asyncio.sleep(float(websocket.args["seconds"]))


@routes.post("/broadcast")
@endpoint(PUBLIC)
async def broadcast() -> dict[str, int]:
    """Write `?count=` messages of `?size=` bytes to a `?group=`, one each `?every=` seconds, with its time in front."""
    count, size, every = int(request.args["count"]), int(request.args["size"]), float(request.args["every"])
    group, due = request.args.get("group", ""), time.monotonic()
    for _ in range(count):
        due += every
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        message = encode(f"{time.monotonic():020.9f}" + "x" * (size - 20))
        for wire in [wire for wire, of in listening.items() if of == group]:
            wire.write(message)
    return {"written": count}


@routes.post("/push")
@endpoint(PUBLIC)
async def push() -> dict[str, int]:
    """Push `?count=` times to everyone, each `?every=` seconds, the time and `?size=` bytes beside.

    Tells how many Redis has surely taken.
    """
    count, size, every = int(request.args["count"]), int(request.args["size"]), float(request.args["every"])
    due, taken = time.monotonic(), 0
    for _ in range(count):
        due += every
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        taken += await resources().realtime.broadcast({"at": time.monotonic(), "beside": "x" * size})
    return {"taken": taken}


def _files() -> int:
    """All but the connections to services, which are opened as they are needed."""
    here = int(request.host.rpartition(":")[2])
    process = psutil.Process()
    return process.num_fds() - sum(each.laddr.port != here for each in process.net_connections("tcp"))


@routes.get("/held")
@endpoint(PUBLIC)
async def held() -> dict[str, Any]:
    """What the process holds, to be compared before and after a fault."""
    manager = hub().manager
    wires = [*listening, *(connection.wire for connection in manager.everybody())]
    return {
        "tasks": len(asyncio.all_tasks()),
        "files": _files(),
        "handlers": len(application().websockets),
        "listening": len(listening),
        "connections": manager.connection_count(),
        "topics": {topic: len(manager.listeners(topic)) for topic in manager.topics()},
        "stuck": sum(wire.waiting > 0 for wire in wires),
    }


feature = Feature(name="sockets under test", routes=(routes,))
