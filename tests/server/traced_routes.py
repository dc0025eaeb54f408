"""Routes for what is traced and measured, beside the kit's fault routes."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

from quart import Blueprint, request
from sqlalchemy import bindparam, select, text
from sqlalchemy.types import Text

from app.core.database import Statement
from app.core.tracing import inject
from app.feature import Feature
from app.web import MINUTE, PUBLIC, Limit, endpoint, resources
from tests.harness import fault_routes

routes = Blueprint("traced", __name__, url_prefix="/traced")

SELECT_WORD = Statement(select(bindparam("word", type_=Text())), name="select_word")


@routes.get("/words/<word>")
@endpoint(PUBLIC)
async def words(word: str) -> dict[str, Any]:
    """One query and one command."""
    found = await resources().database.fetch_val(SELECT_WORD, {"word": word})
    await resources().redis.execute("GET", f"word:{word}")
    return {"word": found, "carried": inject()}


@routes.get("/broken")
@endpoint(PUBLIC)
async def broken() -> dict[str, Any]:
    """A query that PostgreSQL refuses."""
    await resources().database.execute(text("SELECT 1 / 0"))
    return {}


@routes.get("/torn")
@endpoint(PUBLIC)
async def torn() -> tuple[AsyncGenerator[bytes, None], dict[str, str]]:
    """An answer that begins well."""

    async def body() -> AsyncGenerator[bytes, None]:
        yield b"x" * 100
        raise RuntimeError("a stream that fails on purpose")

    return body(), {"Content-Type": "text/plain"}


@routes.get("/limited")
@endpoint(PUBLIC.but(limits=(Limit(1, MINUTE),)))
async def limited() -> dict[str, Any]:
    """Once a minute."""
    return {}


@routes.get("/hog")
@endpoint(PUBLIC)
async def hog() -> dict[str, Any]:
    """Do not let go of the event loop for `?seconds=`."""
    time.sleep(float(request.args["seconds"]))  # noqa: ASYNC251  (this is the fault)
    return {}


@routes.get("/modules")
@endpoint(PUBLIC)
async def modules() -> dict[str, Any]:
    """What of OpenTelemetry, and of what only it needs, this process has imported."""
    found = {name.split(".")[0] for name in sys.modules}
    return {"modules": sorted(found & {"opentelemetry", "google", "requests", "urllib3"})}


feature = Feature(name="traced", routes=(*fault_routes.feature.routes, routes))
