"""Routes that go wrong in every way with a secret at hand: from the request, from a row, from the settings."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from quart import Blueprint, Response, request
from sqlalchemy import text

from app.feature import Feature
from app.web import PUBLIC, endpoint, resources

log = structlog.get_logger("app.canaries")

routes = Blueprint("canaries", __name__, url_prefix="/canaries")


@dataclass(frozen=True)
class SignUp:
    """What a client sends to sign up."""

    email: str
    password: str
    age: int


@routes.post("/sign-up/<path:anything>")
@endpoint(PUBLIC, answers={200: None})
async def sign_up(anything: str, body: SignUp) -> dict[str, Any]:
    """Nothing goes wrong here."""
    return {"age": body.age, "length": len(anything)}


@routes.post("/locals")
@endpoint(PUBLIC)
async def crash_with_locals() -> Response:
    """A panic whose frames hold the request."""
    password = (await request.get_json())["password"]
    token = request.headers["Authorization"]
    raise RuntimeError(f"{len(password)} and {len(token)} characters")


@routes.get("/settings")
@endpoint(PUBLIC)
async def crash_with_settings() -> Response:
    """A panic that says what a careless driver would."""
    settings = resources().settings
    raise RuntimeError(f"refused: {settings.database.password.reveal()!r} at {settings.redis.url.reveal()}")


@routes.get("/settings-logged")
@endpoint(PUBLIC)
async def log_settings() -> dict[str, Any]:
    """A line that should not have been written."""
    settings = resources().settings
    log.warning("careless", password=settings.database.password.reveal(), url=settings.redis.url.reveal())
    return {}


@routes.post("/rows/<kind>")
@endpoint(PUBLIC)
async def store(kind: str) -> Response:
    """A row that PostgreSQL refuses and repeats in its message; `wrapped` makes a panic of it."""
    password = (await request.get_json())["password"]
    db = resources().database
    await db.execute(text("CREATE TABLE IF NOT EXISTS canaries (secret text UNIQUE, needed text NOT NULL)"))
    await db.execute(text("INSERT INTO canaries VALUES (:secret, '') ON CONFLICT DO NOTHING"), {"secret": password})
    needed = None if kind.startswith("null") else ""
    statement, values = text("INSERT INTO canaries VALUES (:secret, :needed)"), {"secret": password, "needed": needed}
    if not kind.endswith("wrapped"):
        await db.execute(statement, values)
    try:
        await db.execute(statement, values)
    except Exception as error:
        raise RuntimeError("it could not be stored") from error
    return Response("never")


@routes.post("/slow")
@endpoint(PUBLIC.but(timeout=0.1))
async def slow() -> Response:
    """A timeout in the middle of a query that holds the secret."""
    password = (await request.get_json())["password"]
    await resources().database.execute(text("SELECT pg_sleep(30), :secret"), {"secret": password})
    await asyncio.Event().wait()
    return Response("never")


feature = Feature(name="canaries", routes=(routes,))
