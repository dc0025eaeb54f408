"""Routes that put a mark of their request into everything they log, in every way a handler can log."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import structlog
from quart import Blueprint, Response, current_app, websocket
from sqlalchemy import text

from app.core.database import ConnectionTrouble
from app.core.errors import ServiceUnavailable
from app.feature import Feature
from app.web import PUBLIC, endpoint, resources

log = structlog.get_logger("app.marked")
stock = logging.getLogger("some.library")

routes = Blueprint("marked", __name__, url_prefix="/marked/<mark>")
left_behind: set[asyncio.Task[None]] = set()


async def child(mark: str) -> None:
    """Outlives its request."""
    await asyncio.sleep(0.05)
    log.info("child", mark=mark)


@routes.get("/work")
@endpoint(PUBLIC)
async def work(mark: str) -> dict[str, Any]:
    """Log before, between and after waits, here, in a child task, in Quart's background and through a library."""
    log.info("work", mark=mark)
    task = asyncio.create_task(child(mark))
    left_behind.add(task)
    task.add_done_callback(left_behind.discard)
    current_app.add_background_task(child, mark)
    db = resources().database
    async with db.transaction():
        await db.execute(text("SELECT pg_sleep(0.01)"))
        log.info("work", mark=mark)
    stock.warning("library %s", mark)
    await asyncio.to_thread(log.info, "work", mark=mark)
    return {"mark": mark}


@routes.get("/panic")
@endpoint(PUBLIC)
async def panic(mark: str) -> Response:
    await asyncio.sleep(0.01)
    raise RuntimeError(mark)


@routes.get("/slow")
@endpoint(PUBLIC.but(timeout=0.2))
async def slow(mark: str) -> Response:
    try:
        await asyncio.Event().wait()
    finally:
        log.info("slow", mark=mark)
    return Response("never")


@routes.get("/unavailable")
@endpoint(PUBLIC)
async def unavailable(mark: str) -> Response:
    await asyncio.sleep(0.01)
    raise ServiceUnavailable(retry_after=1) from ConnectionTrouble(mark)


@routes.get("/services/<name>")
@endpoint(PUBLIC)
async def ask(mark: str, name: str) -> dict[str, Any]:
    """Need one of the services."""
    if name == "redis":
        await resources().redis.execute("GET", mark)
    else:
        await resources().database.execute(text("SELECT 1"))
    return {"mark": mark}


@routes.websocket("/socket")
@endpoint(PUBLIC)
async def socket(mark: str) -> None:
    log.info("socket", mark=mark)
    while True:
        await websocket.send(await websocket.receive())
        log.info("socket", mark=mark)


feature = Feature(name="marked", routes=(routes,))
