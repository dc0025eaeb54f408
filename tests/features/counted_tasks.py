"""Work that ends in every way there is, for the numbers that count it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.core.queue import Event, Task
from app.feature import Feature
from app.tasks import Cron, Delivery, Discard, Handler, RetryLater, Schedule, Subscriber, Work
from tests.harness.fault_routes import routes


@dataclass(frozen=True)
class Count:
    """Nothing but its type."""


GO_WELL = Task("counted.well", Count)
FAIL_ONCE = Task("counted.fail_once", Count, retries=1)
DISCARDED = Task("counted.discarded", Count)
PUT_OFF = Task("counted.put_off", Count)
STAY = Task("counted.stay", Count, timeout=3600)
UNUSED = Task("counted.unused", Count)
FOREIGN = Task("foreign.work", Count)  # nobody does it
HAPPENED = Event("counted.happened", Count, aggregate="thing")
FOREIGN_EVENT = Event("foreign.happened", Count, aggregate="thing")
YEARLY = "counted.yearly"


async def go_well(_: Work[Count]) -> None: ...


async def fail_once(work: Work[Count]) -> None:
    if work.attempt == 1:
        raise RuntimeError("a failure on purpose")


async def discarded(_: Work[Count]) -> None:
    raise Discard("of no use")


async def put_off(work: Work[Count]) -> None:
    if work.lease_seq == 1:
        raise RetryLater(0.0)


async def stay(_: Work[Count]) -> None:
    await asyncio.Event().wait()


async def hear(_: Delivery[Count]) -> None: ...


feature = Feature(
    name="counted",
    routes=(routes,),
    tasks=(
        Handler(GO_WELL, go_well),
        Handler(FAIL_ONCE, fail_once),
        Handler(DISCARDED, discarded),
        Handler(PUT_OFF, put_off),
        Handler(STAY, stay),
        Handler(UNUSED, go_well),
    ),
    subscribers=(Subscriber(HAPPENED, "counted.hears", hear), Subscriber(HAPPENED, "counted.hears_too", hear)),
    schedules=(Schedule(YEARLY, Cron("0 0 1 1 *"), GO_WELL, Count()),),
)
