"""Routes that hold, read or stream a body; added to the real app for tests of uploads."""

from __future__ import annotations

import asyncio

from quart import Blueprint, request

from app.feature import Feature
from app.web import MIB, PUBLIC, endpoint

routes = Blueprint("uploads", __name__, url_prefix="/test")

released = asyncio.Event()
holding = 0


@routes.post("/hold")
@endpoint(PUBLIC)
async def hold() -> str:
    """Read nothing, and wait until it is released."""
    global holding  # noqa: PLW0603  (the process is this test's own)
    holding += 1
    try:
        await released.wait()
    finally:
        holding -= 1
    return "held"


@routes.get("/holding")
@endpoint(PUBLIC)
async def count() -> dict[str, int]:
    return {"holding": holding}


@routes.post("/release")
@endpoint(PUBLIC)
async def release() -> str:
    released.set()
    return "released"


@routes.post("/data")
@endpoint(PUBLIC)
async def data() -> str:
    return str(len(await request.get_data()))


@routes.post("/stream")
@endpoint(PUBLIC.but(body=2048 * MIB))
async def stream() -> str:
    """A gigabyte and more, of which no more than a part is ever held."""
    return str(sum([len(part) async for part in request.body]))


feature = Feature(name="uploads", routes=(routes,))
