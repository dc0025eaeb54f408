"""A contestant that cheats: the item and its event are written in two transactions."""

from __future__ import annotations

from uuid import UUID

from quart import Blueprint

from app.feature import Feature
from app.web import PUBLIC, current_caller, endpoint, resources
from bench.http import feature as honest

routes = Blueprint("torn", __name__)


@routes.get("/plain")
@endpoint(PUBLIC, answers={200: honest.Hello})
async def plain() -> honest.Hello:
    """Say hello."""
    return honest.Hello("Hello", [1, 2, 3])


@routes.get("/items")
@endpoint(honest.READING, answers={200: honest.ItemPage})
async def read_items(query: honest.ItemQuery) -> honest.ItemPage:
    """List the caller's items."""
    found = await honest.select_items(resources().database, owner=UUID(current_caller().id), after=query.after)
    return honest.ItemPage(found, found[-1].id if len(found) == honest.PAGE else None)


@routes.post("/items")
@endpoint(honest.WRITING, answers={201: honest.Item})
async def write_item(body: honest.NewItem) -> tuple[honest.Item, int]:
    """Write an item, and then its event."""
    db = resources().database
    values = {"owner": UUID(current_caller().id), "title": body.title, "payload": vars(body.payload)}
    item = honest.item_of(await db.fetch_existing(honest.INSERT_ITEM, values))
    async with db.transaction():
        await resources().queue.publish(honest.ITEM_WRITTEN, item.id, honest.ItemWritten(item.id, item.title))
    return item, 201


feature = Feature("torn", routes=(routes,), events=(honest.ITEM_WRITTEN,))
