"""Routes that pay, for tests of Idempotency-Key: each effect is a row, in the transaction of a service of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from typing import Any

from quart import Blueprint, Response, request
from sqlalchemy import text

from app.core.database import Database
from app.core.errors import Conflict
from app.feature import Feature
from app.web import PUBLIC, SIGNED_IN, endpoint, resources
from app.web.idempotency import LARGEST
from tests.harness import signed_tokens

TABLES = (
    "CREATE TABLE IF NOT EXISTS payments (id int GENERATED ALWAYS AS IDENTITY, note text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS owners (name text PRIMARY KEY)",
    """
    CREATE TABLE IF NOT EXISTS debts (owner text CONSTRAINT fk_debts_owner_owners
        REFERENCES owners (name) DEFERRABLE INITIALLY DEFERRED)
    """,
)

HOLDS = "PLINTH_TEST_HOLDS"

routes = Blueprint("payments", __name__)


async def make_tables(db: Database) -> None:
    for table in TABLES:
        await db.execute(table)


async def pay(db: Database, note: str) -> int:
    """A service as any other: it knows nothing of keys, and opens its own transaction."""
    async with db.transaction():
        paid: int = await db.execute(text("INSERT INTO payments (note) VALUES (:note) RETURNING id"), {"note": note})
    return paid


async def paid(db: Database) -> list[str]:
    return [row["note"] for row in await db.fetch_all("SELECT note FROM payments ORDER BY id")]


async def kept(db: Database) -> int:
    count: int = await db.fetch_val("SELECT count(*) FROM idempotency_keys")
    return count


@routes.route("/payments", methods=["POST", "PUT", "PATCH", "DELETE"])
@endpoint(PUBLIC)
async def make_payment() -> tuple[dict[str, Any], int, dict[str, str]]:
    number = await pay(resources().database, str(await request.get_data(as_text=True)))
    return {"payment": number}, 201, {"Location": f"/payments/{number}", "X-Moment": "of this answer only"}


@routes.get("/payments")
@endpoint(PUBLIC)
async def read_payments() -> dict[str, Any]:
    return {"paid": await paid(resources().database)}


@routes.post("/mine")
@endpoint(SIGNED_IN)
async def make_own_payment() -> dict[str, Any]:
    return {"payment": await pay(resources().database, "mine")}


@routes.post("/slow")
@endpoint(PUBLIC.but(timeout=30))
async def pay_slowly() -> dict[str, Any]:
    """Pays, and then waits in the database for `?seconds=`."""
    db = resources().database
    number = await pay(db, "slow")
    await db.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": float(request.args["seconds"])})
    return {"payment": number}


@routes.post("/overlong")
@endpoint(PUBLIC.but(timeout=0.2))
async def pay_for_ever() -> dict[str, Any]:
    number = await pay(resources().database, "overlong")
    await asyncio.Event().wait()
    return {"payment": number}


@routes.post("/held")
@endpoint(PUBLIC.but(timeout=60))
async def pay_and_hold() -> dict[str, Any]:
    """Holds its transaction until the process ends, where the environment says so."""
    number = await pay(resources().database, "held")
    if HOLDS in os.environ:
        await asyncio.Event().wait()
    return {"payment": number}


@routes.post("/refused")
@endpoint(PUBLIC)
async def pay_and_refuse() -> Response:
    await pay(resources().database, "refused")
    raise Conflict("After it was paid.")


@routes.post("/returned")
@endpoint(PUBLIC)
async def pay_and_return_an_error() -> tuple[dict[str, Any], int]:
    """An error that is an answer like any other, since its effects are kept."""
    return {"payment": await pay(resources().database, "returned"), "declined": True}, 402


@routes.post("/debts")
@endpoint(PUBLIC)
async def owe() -> dict[str, Any]:
    """Only COMMIT finds out that there is no such owner."""
    db = resources().database
    await pay(db, "debt")
    await db.execute(
        text("INSERT INTO debts (owner) VALUES (:owner)"), {"owner": str(await request.get_data(as_text=True))}
    )
    return {"owed": True}


@routes.post("/cookie")
@endpoint(PUBLIC)
async def pay_with_a_cookie() -> Response:
    response = Response(str(await pay(resources().database, "cookie")))
    response.set_cookie("session", "of one exchange")
    return response


@routes.post("/large/<int:over>")
@endpoint(PUBLIC)
async def pay_at_length(over: int) -> bytes:
    await pay(resources().database, "large")
    return b"x" * (LARGEST + over)


@routes.post("/stream")
@endpoint(PUBLIC)
async def pay_in_parts() -> tuple[AsyncGenerator[str, None], dict[str, str]]:
    number = await pay(resources().database, "stream")

    async def parts() -> AsyncGenerator[str, None]:
        for part in (str(number), ", ", "paid"):
            yield part

    return parts(), {"Content-Type": "text/plain"}


@routes.post("/nothing")
@endpoint(PUBLIC)
async def pay_and_say_nothing() -> Response:
    await pay(resources().database, "nothing")
    return Response(status=204)


@routes.post("/keyless")
@endpoint(PUBLIC.but(idempotency=False))
async def pay_without_keys() -> dict[str, Any]:
    return {"payment": await pay(resources().database, "keyless")}


feature = Feature("payments", (routes,), authenticate=signed_tokens.authenticate)
