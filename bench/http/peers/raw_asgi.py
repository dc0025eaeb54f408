"""No framework at all: the least that answers the same on uvicorn with asyncpg, and so the limit for everybody.

What it leaves out nobody should: it looks at no method, limits no body, and catches nothing that it does not expect.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import parse_qs
from uuid import UUID

import asyncpg
import msgspec
import orjson

PAGE = 20
FIRST = UUID(int=0)

SELECT_USER = """
SELECT users.id FROM api_keys JOIN users ON users.id = api_keys.created_by
WHERE api_keys.key_hash = $1 AND api_keys.revoked_at IS NULL
  AND (api_keys.expires_at IS NULL OR api_keys.expires_at > now()) AND users.is_active
"""
# PostgreSQL writes the JSON of a row's payload, and nobody reads it on its way.
SELECT_ITEMS = """
SELECT id, title, payload::text, created_at FROM items WHERE owner = $1 AND id > $2 ORDER BY id LIMIT $3
"""
INSERT_ITEM = "INSERT INTO items (owner, title, payload) VALUES ($1, $2, $3) RETURNING id, created_at"
INSERT_EVENT = "INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload) VALUES ($1, $2, $3, $4)"

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, object]


class Details(msgspec.Struct):
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    tags: Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=20)]], msgspec.Meta(max_length=5)]
    note: Annotated[str, msgspec.Meta(max_length=200)]


class NewItem(msgspec.Struct):
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    payload: Details


reader = msgspec.json.Decoder(NewItem)
pool: asyncpg.Pool


class Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


async def unchanged(_: asyncpg.Connection) -> None:
    """Nothing here changes a connection's state, so there is nothing to reset when it comes back."""


async def live(_: dict[str, Any], __: Receive) -> Answer:
    return 200, {"status": "ok"}


async def plain(_: dict[str, Any], __: Receive) -> Answer:
    return 200, {"message": "Hello", "numbers": [1, 2, 3]}


async def items(scope: dict[str, Any], receive: Receive) -> Answer:
    return await (write_item(scope, receive) if scope["method"] == "POST" else read_items(scope))


async def read_items(scope: dict[str, Any]) -> Answer:
    query = parse_qs(scope["query_string"].decode())
    after = UUID(query["after"][0]) if query else FIRST
    async with pool.acquire() as connection:
        user = await user_of(connection, scope)
        rows = await connection.fetch(SELECT_ITEMS, user, after, PAGE)
    page = [
        {"id": str(id_), "title": title, "payload": orjson.Fragment(payload), "created_at": created_at}
        for id_, title, payload, created_at in rows
    ]
    return 200, {"items": page, "next_cursor": page[-1]["id"] if len(page) == PAGE else None}


async def write_item(scope: dict[str, Any], receive: Receive) -> Answer:
    body = await read(receive)
    async with pool.acquire() as connection:
        user = await user_of(connection, scope)
        new = parsed(body)
        payload = msgspec.json.encode(new.payload)
        async with connection.transaction():
            id_, created_at = await connection.fetchrow(INSERT_ITEM, user, new.title, payload.decode())
            written = orjson.dumps({"id": str(id_), "title": new.title}).decode()
            await connection.execute(INSERT_EVENT, "item", id_, "bench.item_written", written)
    return 201, {"id": str(id_), "title": new.title, "payload": orjson.Fragment(payload), "created_at": created_at}


async def read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def parsed(body: bytes) -> NewItem:
    try:
        return reader.decode(body)
    except msgspec.DecodeError as error:
        raise Refused(400) from error


async def user_of(connection: asyncpg.Connection, scope: dict[str, Any]) -> UUID:
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    if not given.startswith(b"Bearer "):
        raise Refused(401)
    user: UUID | None = await connection.fetchval(SELECT_USER, hashlib.sha256(given[7:]).digest())
    if user is None:
        raise Refused(401)
    return user


async def missing(_: dict[str, Any], __: Receive) -> Answer:
    return 404, {}


ROUTES = {"/health/live": live, "/plain": plain, "/items": items}


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    try:
        status, value = await ROUTES.get(scope["path"], missing)(scope, receive)
    except Refused as refused:
        status, value = refused.status, {}
    body = orjson.dumps(value)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive: Receive, send: Send) -> None:
    global pool  # noqa: PLW0603  (there is no framework to hand it down)
    await receive()
    pool = await asyncpg.create_pool(os.environ["BENCH_URL"], min_size=10, max_size=10, reset=unchanged)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await pool.close()
    await send({"type": "lifespan.shutdown.complete"})
