"""Routes that only tests have: slow, crashing, holding transactions; added to the real app like any feature."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

from quart import Blueprint, Response, current_app, request, websocket
from sqlalchemy import text

from app.core.redis import RedisUnavailable
from app.feature import Feature
from app.web import PUBLIC, Application, endpoint, resources

routes = Blueprint("faults", __name__, url_prefix="/test")


@routes.get("/slow")
@endpoint(PUBLIC)
async def slow() -> dict[str, Any]:
    """Answer after `?seconds=`."""
    await asyncio.sleep(float(request.args["seconds"]))
    return {"slept": float(request.args["seconds"])}


@routes.get("/query")
@endpoint(PUBLIC)
async def query() -> dict[str, Any]:
    """Keep a connection busy for `?seconds=` (none: the quickest query there is)."""
    seconds = float(request.args.get("seconds", 0))
    await resources().database.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
    return {"slept": seconds}


@routes.put("/entries")
@endpoint(PUBLIC)
async def make_entries() -> dict[str, Any]:
    """Make the table that `write` writes to; ask for it once, first."""
    await resources().database.execute(text("CREATE TABLE IF NOT EXISTS test_entries (name text PRIMARY KEY)"))
    return {}


@routes.post("/entries/<name>")
@endpoint(PUBLIC)
async def write(name: str) -> tuple[dict[str, Any], int]:
    """Write one row in a transaction, kept open for `?seconds=`; a name can be written once."""
    db = resources().database
    async with db.transaction():
        await db.execute(text("INSERT INTO test_entries (name) VALUES (:name)"), {"name": name})
        await db.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": float(request.args.get("seconds", 0))})
    return {"written": name}, 201


@routes.get("/redis")
@endpoint(PUBLIC)
async def redis() -> dict[str, Any]:
    """Ask Redis for something the answer can do without; how long that took, but for what a busy machine added."""
    client, began, late = resources().redis, monotonic(), [0.0]
    due = began + client.settings.timeout
    timer = asyncio.get_running_loop().call_later(due - began, lambda: late.append(monotonic() - due))
    try:
        await client.execute("GET", "nothing")
        there = True
    except RedisUnavailable:
        there = False
    timer.cancel()
    return {"redis": there, "seconds": monotonic() - began - late[-1]}


@dataclass(frozen=True)
class Note:
    text: str


@routes.post("/json")
@endpoint(PUBLIC, answers={200: Note})
async def read_note(body: Note) -> Note:
    """Read JSON, and give it back."""
    return body


@routes.get("/crash")
@endpoint(PUBLIC)
async def crash() -> Response:
    raise RuntimeError("a crash on purpose, with canary-secret-in-an-error")


@routes.get("/exit")
@endpoint(PUBLIC)
async def leave() -> Response:
    """What stops a stock server: SystemExit out of a handler."""
    sys.exit(3)


@routes.get("/inside")
@endpoint(PUBLIC)
async def inside() -> dict[str, Any]:
    """What the process holds, to be compared before and after a fault."""
    return {
        "pid": os.getpid(),
        "tasks": len(asyncio.all_tasks()),
        "requests": len(application().requests),
        "pool": asdict(resources().database.stats()),
    }


@routes.get("/flood")
@endpoint(PUBLIC)
async def flood() -> tuple[AsyncGenerator[bytes, None], dict[str, str]]:
    """A body without an end, for a client that does not read it."""

    async def body() -> AsyncGenerator[bytes, None]:
        while True:
            yield b"x" * 65536

    return body(), {"Content-Type": "application/octet-stream"}


@routes.websocket("/echo")
@endpoint(PUBLIC)
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())


def application() -> Application:
    """The application itself, for what only tests ask of it."""
    assert isinstance(current_app, Application)
    return current_app


feature = Feature(name="faults", routes=(routes,))
