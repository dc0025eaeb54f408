"""Plinth's contestant: a feature as docs/adding-a-feature.md makes one, in one module, on the real server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta
from quart import Blueprint
from sqlalchemy import bindparam, insert, select
from sqlalchemy.dialects.postgresql import INTEGER

from app.core.database import Database, Row, Statement
from app.core.queue import Event, Queue
from app.feature import Feature
from app.web import PUBLIC, SIGNED_IN, current_caller, endpoint, resources
from bench.http.tables import items

PAGE = 20
FIRST = UUID(int=0)
# How often they may be called, the settings say.
READING = SIGNED_IN.but(permission="items:read")
WRITING = SIGNED_IN.but(permission="items:write")

_own: dict[str, Statement] = {}  # not among those that are checked on the kit's own schema, which has no such table
_shown = (items.c.id, items.c.title, items.c.payload, items.c.created_at)

SELECT_ITEMS = Statement(
    select(*_shown)
    .where(items.c.owner == bindparam("owner"), items.c.id > bindparam("after"))
    .order_by(items.c.id)
    .limit(bindparam("most", type_=INTEGER)),
    name="select_items",
    registry=_own,
)
INSERT_ITEM = Statement(
    insert(items)
    .values(owner=bindparam("owner"), title=bindparam("title"), payload=bindparam("payload"))
    .returning(*_shown),
    name="insert_item",
    registry=_own,
)


@dataclass(frozen=True)
class Details:
    """What is kept of an item as JSON."""

    quantity: Annotated[int, Meta(ge=1, le=1000)]
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=20)]], Meta(max_length=5)]
    note: Annotated[str, Meta(max_length=200)]


@dataclass(frozen=True)
class NewItem:
    """What an item is made of."""

    title: Annotated[str, Meta(min_length=1, max_length=80)]
    payload: Details


@dataclass(frozen=True)
class Item:
    """One of them, as it is stored."""

    id: UUID
    title: str
    payload: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class ItemQuery:
    """Which ones: those behind `after`."""

    after: UUID = FIRST


@dataclass(frozen=True)
class ItemPage:
    """Some of them; `next_cursor` is the `after` of what follows."""

    items: list[Item]
    next_cursor: UUID | None


@dataclass(frozen=True)
class Hello:
    """Something small."""

    message: str
    numbers: list[int]


@dataclass(frozen=True)
class ItemWritten:
    """What its event says of a new item."""

    id: UUID
    title: str


ITEM_WRITTEN = Event("bench.item_written", ItemWritten, aggregate="item")

routes = Blueprint("bench", __name__)


@routes.get("/plain")
@endpoint(PUBLIC.but(limits=()), answers={200: Hello})
async def plain() -> Hello:
    """Say hello."""
    return Hello("Hello", [1, 2, 3])


@routes.get("/items")
@endpoint(READING, answers={200: ItemPage})
async def read_items(query: ItemQuery) -> ItemPage:
    """List the caller's items."""
    found = await select_items(resources().database, owner=UUID(current_caller().id), after=query.after)
    return ItemPage(found, found[-1].id if len(found) == PAGE else None)


@routes.post("/items")
@endpoint(WRITING, answers={201: Item})
async def write_item(body: NewItem) -> tuple[Item, int]:
    """Write an item."""
    return await keep_item(resources().database, resources().queue, UUID(current_caller().id), body), 201


async def keep_item(db: Database, queue: Queue, owner: UUID, new: NewItem) -> Item:
    async with db.transaction():
        values = {"owner": owner, "title": new.title, "payload": vars(new.payload)}
        item = item_of(await db.fetch_existing(INSERT_ITEM, values))
        await queue.publish(ITEM_WRITTEN, item.id, ItemWritten(item.id, item.title))
    return item


async def select_items(db: Database, *, owner: UUID, after: UUID) -> list[Item]:
    rows = await db.fetch_all(SELECT_ITEMS, {"owner": owner, "after": after, "most": PAGE})
    return [item_of(row) for row in rows]


def item_of(row: Row) -> Item:
    return Item(row["id"], row["title"], row["payload"], row["created_at"])


feature = Feature(name="bench", routes=(routes,), events=(ITEM_WRITTEN,))
