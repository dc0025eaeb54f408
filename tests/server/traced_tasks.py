"""Routes that ask for work, and the work: what is to be one trace, and to be found by one request id."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import structlog
from quart import Blueprint, request
from sqlalchemy import bindparam, select
from sqlalchemy.types import Text

from app.core.database import Statement
from app.core.ids import new_id
from app.core.queue import Event, Task
from app.feature import Feature
from app.tasks import Delivery, Discard, Handler, RetryLater, Subscriber, Work
from app.web import PUBLIC, endpoint, resources
from tests.harness import fault_routes

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Note:
    """What is to be done with it: `note`, or how it is to go wrong."""

    text: str = "note"


REMIND = Task("traced.remind", Note, retries=0)
FOLLOW = Task("traced.follow", Note)
BREAK = Task("traced.break", Note, retries=0)
GONE = Task("traced.gone", Note)  # nobody does it
WRITTEN = Event("traced.written", Note, aggregate="note")

SELECT_NOTE = Statement(select(bindparam("text", type_=Text())), name="select_note_of_task")
SELECT_FOLLOWED = Statement(select(bindparam("text", type_=Text())), name="select_followed_note")
SELECT_HEARD = Statement(select(bindparam("text", type_=Text())), name="select_heard_note")

routes = Blueprint("traced_tasks", __name__, url_prefix="/traced/tasks")


@routes.post("/remind")
@endpoint(PUBLIC)
async def ask() -> dict[str, Any]:
    """One task; it asks for another."""
    async with resources().database.transaction():
        task_id = await resources().queue.enqueue(REMIND, Note())
    return {"id": str(task_id)}


@routes.post("/break")
@endpoint(PUBLIC)
async def ask_for_trouble() -> dict[str, Any]:
    """Several at once, which end otherwise than well: `?text=` for each."""
    async with resources().database.transaction():
        ids = await resources().queue.enqueue_many(BREAK, [Note(text) for text in request.args.getlist("text")])
    return {"ids": [str(each) for each in ids]}


@routes.post("/written")
@endpoint(PUBLIC)
async def tell() -> dict[str, Any]:
    """An event, which one subscriber hears of."""
    async with resources().database.transaction():
        event_id = await resources().queue.publish(WRITTEN, new_id(), Note())
    return {"id": str(event_id)}


async def remind(work: Work[Note]) -> None:
    await work.resources.database.fetch_val(SELECT_NOTE, {"text": work.payload.text})
    log.info("reminded")
    async with work.finishing():
        await work.resources.queue.enqueue(FOLLOW, Note())


async def follow(work: Work[Note]) -> None:
    await work.resources.database.fetch_val(SELECT_FOLLOWED, {"text": work.payload.text})
    log.info("followed", modules=sorted(name for name in sys.modules if name.startswith("opentelemetry")))


async def go_wrong(work: Work[Note]) -> None:
    if work.payload.text == "later" and work.attempt == 1 and work.lease_seq == 1:
        raise RetryLater(0.0, "canary")
    if work.payload.text == "discard":
        raise Discard("canary")
    if work.payload.text == "fail":
        raise LookupError("canary")


async def hear(delivery: Delivery[Note]) -> None:
    async with delivery.once():
        await delivery.resources.database.fetch_val(SELECT_HEARD, {"text": delivery.payload.text})
    log.info("heard")


feature = Feature(
    name="traced_tasks",
    routes=(*fault_routes.feature.routes, routes),
    tasks=(Handler(REMIND, remind), Handler(FOLLOW, follow), Handler(BREAK, go_wrong)),
    subscribers=(Subscriber(WRITTEN, "traced.hear", hear),),
)
