"""Quart with `databases`, the stack that the kit hardens, as its users write it: with tables of SQLAlchemy's core."""

from __future__ import annotations

import hashlib
import os
from typing import Annotated, Any
from uuid import UUID

from databases import Database
from pydantic import BaseModel, Field, ValidationError
from quart import Quart, abort, request
from sqlalchemy import Boolean, Column, DateTime, LargeBinary, MetaData, Table, Text, Uuid, func, insert, or_, select
from sqlalchemy.dialects.postgresql import JSONB

PAGE = 20

metadata = MetaData()
users = Table("users", metadata, Column("id", Uuid, primary_key=True), Column("is_active", Boolean))
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("key_hash", LargeBinary),
    Column("created_by", Uuid),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)
items = Table(
    "items",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.uuidv7()),
    Column("owner", Uuid),
    Column("title", Text),
    Column("payload", JSONB),
    Column("created_at", DateTime(timezone=True), server_default=func.now()),
)
outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True, server_default=func.uuidv7()),
    Column("aggregate_type", Text),
    Column("aggregate_id", Uuid),
    Column("event_type", Text),
    Column("payload", JSONB),
)
SHOWN = (items.c.id, items.c.title, items.c.payload, items.c.created_at)


class Details(BaseModel):
    quantity: Annotated[int, Field(ge=1, le=1000)]
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=20)]], Field(max_length=5)]
    note: Annotated[str, Field(max_length=200)]


class NewItem(BaseModel):
    title: Annotated[str, Field(min_length=1, max_length=80)]
    payload: Details


app = Quart(__name__)
database = Database(os.environ["BENCH_URL"], min_size=10, max_size=10)


@app.before_serving
async def connect() -> None:
    await database.connect()


@app.after_serving
async def disconnect() -> None:
    await database.disconnect()


async def user_of_request() -> UUID:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        abort(401)
    user: UUID | None = await database.fetch_val(
        select(users.c.id)
        .join(api_keys, api_keys.c.created_by == users.c.id)
        .where(api_keys.c.key_hash == hashlib.sha256(token.encode()).digest())
        .where(api_keys.c.revoked_at.is_(None), users.c.is_active)
        .where(or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > func.now()))
    )
    if user is None:
        abort(401)
    return user


def as_item(row: Any) -> dict[str, Any]:  # noqa: ANN401  (a record of `databases`)
    return {
        "id": row["id"],
        "title": row["title"],
        "payload": row["payload"],
        "created_at": row["created_at"].isoformat(),
    }


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/plain")
async def plain() -> dict[str, Any]:
    return {"message": "Hello", "numbers": [1, 2, 3]}


@app.get("/items")
async def read_items() -> dict[str, Any]:
    user = await user_of_request()
    query = select(*SHOWN).where(items.c.owner == user).order_by(items.c.id).limit(PAGE)
    if after := request.args.get("after"):
        query = query.where(items.c.id > UUID(after))
    page = [as_item(row) for row in await database.fetch_all(query)]
    return {"items": page, "next_cursor": page[-1]["id"] if len(page) == PAGE else None}


@app.post("/items")
async def write_item() -> tuple[dict[str, Any], int]:
    user = await user_of_request()
    try:
        new = NewItem.model_validate(await request.get_json())
    except ValidationError:
        abort(400)
    async with database.transaction():
        query = insert(items).values(owner=user, title=new.title, payload=new.payload.model_dump()).returning(*SHOWN)
        row = await database.fetch_one(query)
        assert row is not None  # noqa: S101  (told to the type checker)
        written = {"id": str(row["id"]), "title": row["title"]}
        await database.execute(
            insert(outbox).values(
                aggregate_type="item", aggregate_id=row["id"], event_type="bench.item_written", payload=written
            )
        )
    return as_item(row), 201
