"""FastAPI without an ORM, by somebody who measures: asyncpg, one connection a request, answers written by orjson."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import orjson
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel, Field

PAGE = 20
FIRST = UUID(int=0)

SELECT_USER = """
SELECT users.id FROM api_keys JOIN users ON users.id = api_keys.created_by
WHERE api_keys.key_hash = $1 AND api_keys.revoked_at IS NULL
  AND (api_keys.expires_at IS NULL OR api_keys.expires_at > now()) AND users.is_active
"""
SELECT_ITEMS = "SELECT id, title, payload, created_at FROM items WHERE owner = $1 AND id > $2 ORDER BY id LIMIT $3"
INSERT_ITEM = """
INSERT INTO items (owner, title, payload) VALUES ($1, $2, $3) RETURNING id, title, payload, created_at
"""
INSERT_EVENT = "INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload) VALUES ($1, $2, $3, $4)"


class Details(BaseModel):
    quantity: Annotated[int, Field(ge=1, le=1000)]
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=20)]], Field(max_length=5)]
    note: Annotated[str, Field(max_length=200)]


class NewItem(BaseModel):
    title: Annotated[str, Field(min_length=1, max_length=80)]
    payload: Details


async def prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["BENCH_URL"], min_size=10, max_size=10, init=prepare) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


def answer(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value, default=str), status, media_type="application/json")


def as_item(row: asyncpg.Record) -> dict[str, Any]:
    # orjson knows the standard UUID only, and asyncpg gives a subclass: `default` above makes text of it.
    return dict(row)


async def user_of(connection: asyncpg.Connection, request: Request) -> UUID:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise HTTPException(401)
    user: UUID | None = await connection.fetchval(SELECT_USER, hashlib.sha256(token.encode()).digest())
    if user is None:
        raise HTTPException(401)
    return user


@app.get("/health/live")
async def live() -> Response:
    return answer({"status": "ok"})


@app.get("/plain")
async def plain() -> Response:
    return answer({"message": "Hello", "numbers": [1, 2, 3]})


@app.get("/items")
async def read_items(request: Request, after: UUID = FIRST) -> Response:
    async with request.app.state.pool.acquire() as connection:
        user = await user_of(connection, request)
        rows = await connection.fetch(SELECT_ITEMS, user, after, PAGE)
    return answer(
        {"items": [as_item(row) for row in rows], "next_cursor": rows[-1]["id"] if len(rows) == PAGE else None}
    )


@app.post("/items")
async def write_item(request: Request, body: NewItem) -> Response:
    async with request.app.state.pool.acquire() as connection:
        user = await user_of(connection, request)
        async with connection.transaction():
            row = await connection.fetchrow(INSERT_ITEM, user, body.title, body.payload.model_dump())
            written = {"id": str(row["id"]), "title": row["title"]}
            await connection.execute(INSERT_EVENT, "item", row["id"], "bench.item_written", written)
    return answer(as_item(row), 201)
