"""Events from `publish` to their effects: refused, rolled back, delivered twice, in order, dead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import pytest

from app.core.database import NoTransaction, TransactionNotInherited
from app.core.ids import new_id
from app.core.queue import Task
from app.core.resources import Resources
from app.tasks import Delivery, Discard, Handler, LeaseLost, Registry, RetryLater, Work, store
from app.tasks.runner import Runner
from tests.harness.settings import TestSettings
from tests.tasks.events import MOVED, Bench, Moved, bench, hears, note, note_once

COUNT = Task("test.count", Moved)
Ask = Callable[[Resources], Awaitable[object]]


def publish(resources: Resources) -> Awaitable[object]:
    return resources.queue.publish(MOVED, new_id(), Moved(1))


def enqueue(resources: Resources) -> Awaitable[object]:
    return resources.queue.enqueue(COUNT, Moved(1))


def enqueue_many(resources: Resources) -> Awaitable[object]:
    return resources.queue.enqueue_many(COUNT, [Moved(1)])


each_way = pytest.mark.parametrize("ask", [publish, enqueue, enqueue_many])


class Undo(Exception):
    pass


async def asked_for(house: Bench) -> int:
    query = "SELECT (SELECT count(*) FROM tasks) + (SELECT count(*) FROM outbox)"
    return int(str(await house.db.fetch_val(query)))


@each_way
async def test_outside_a_transaction_it_is_refused(settings: TestSettings, ask: Ask) -> None:
    async with bench(settings) as house:
        with pytest.raises(NoTransaction, match="open transaction"):
            await ask(house.resources)

        assert await asked_for(house) == 0


@each_way
async def test_from_a_child_task_of_the_transaction_it_is_refused(settings: TestSettings, ask: Ask) -> None:
    async def child() -> None:
        await ask(house.resources)

    async with bench(settings) as house:
        async with house.db.transaction():
            with pytest.raises(TransactionNotInherited, match="child task"):
                await asyncio.create_task(child())

        assert await asked_for(house) == 0


@each_way
async def test_it_goes_with_the_transaction(settings: TestSettings, ask: Ask) -> None:
    async with bench(settings) as house:
        with suppress(Undo):
            async with house.db.transaction():
                await ask(house.resources)
                raise Undo
        assert await asked_for(house) == 0

        async with house.db.transaction():
            await ask(house.resources)

        assert await asked_for(house) == 1


@each_way
async def test_it_goes_with_its_savepoint_and_leaves_the_rest(settings: TestSettings, ask: Ask) -> None:
    async with bench(settings) as house:
        async with house.db.transaction():
            await ask(house.resources)
            with suppress(Undo):
                async with house.db.transaction():
                    await ask(house.resources)
                    raise Undo
            async with house.db.transaction():
                await ask(house.resources)

        assert await asked_for(house) == 2


async def test_an_event_reaches_every_subscriber_once(settings: TestSettings) -> None:
    async with bench(settings, hears("a"), hears("b")) as house:
        await house.publish(new_id(), 1, 2)

        assert await house.relay.run_once() == 2
        assert await house.work() == 4

        assert (await house.effects("a"), await house.effects("b")) == ([1, 2], [1, 2])
        assert await house.relay.run_once() + await house.work() == 0


async def forget(house: Bench) -> None:
    """As if the relay had handed on and not marked, which it can't: every event is delivered once more."""
    await house.db.execute("UPDATE outbox SET processed_at = NULL")


@pytest.mark.parametrize(("run", "effects"), [(note_once, [1]), (note, [1, 1])], ids=["once", "control: without"])
async def test_an_event_delivered_twice_takes_effect_once(
    settings: TestSettings, run: Callable[[Delivery[Moved]], Awaitable[None]], effects: list[int]
) -> None:
    async with bench(settings, hears("a", run)) as house:
        await house.publish(new_id(), 1)

        for _ in range(2):
            assert await house.relay.run_once() == 1
            assert await house.work() == 1
            await forget(house)

        assert await house.effects() == effects


async def note_once_of_all(delivery: Delivery[Moved]) -> None:
    """As if an event were remembered without the name of who has dealt with it."""
    async with replace(delivery, handler_name="").once() as is_new:
        if is_new:
            await note(delivery)


async def test_control_a_memory_of_events_alone_hides_one_of_two_subscribers(settings: TestSettings) -> None:
    async with bench(settings, hears("a", note_once_of_all), hears("b", note_once_of_all)) as house:
        await house.publish(new_id(), 1)
        await house.relay.run_once()

        assert await house.work() == 2

        assert await house.effects() == [1]


async def test_effects_are_forgotten_with_the_memory_of_them_when_the_handler_fails(settings: TestSettings) -> None:
    failed: list[int] = []

    async def fails_at_first(delivery: Delivery[Moved]) -> None:
        async with delivery.once() as is_new:
            assert is_new
            await note(delivery)
            if not failed:
                failed.append(delivery.payload.number)
                raise Undo

    async with bench(settings, hears("a", fails_at_first)) as house:
        await house.publish(new_id(), 1)
        await house.relay.run_once()

        assert await house.work() == 2

        assert failed == await house.effects() == [1]


async def test_who_has_lost_the_event_to_another_run_has_no_effect(settings: TestSettings) -> None:
    """It was only slow. Had it one, it could be after that of the next event, which the other run has let go on."""
    refused: list[type[Exception]] = []

    async def is_overtaken(delivery: Delivery[Moved]) -> None:
        try:
            async with delivery.once():
                await note(delivery)
                async with delivery.resources.database.detached() as another:
                    await another.execute("UPDATE tasks SET lease_seq = lease_seq + 1")
        except LeaseLost as error:
            refused.append(type(error))
            raise

    async with bench(settings, hears("a", is_overtaken)) as house:
        await house.publish(new_id(), 1)
        await house.relay.run_once()

        await house.workers[0].run_once()

        assert refused == [LeaseLost]
        assert await house.effects() == []
        assert await house.db.fetch_val("SELECT count(*) FROM processed_events") == 0


async def test_a_retry_keeps_its_place_and_lets_other_aggregates_pass(settings: TestSettings) -> None:
    one, another = new_id(), new_id()
    attempts: list[tuple[UUID, int]] = []

    async def fails_twice_in_the_middle(delivery: Delivery[Moved]) -> None:
        attempts.append((delivery.aggregate_id, delivery.payload.number))
        if (delivery.aggregate_id, delivery.payload.number) == (one, 2) and delivery.attempt < 3:
            raise RetryLater(0) if delivery.attempt == 1 and len(attempts) < 5 else Undo
        await note_once(delivery)

    async with bench(settings, hears("a", fails_twice_in_the_middle)) as house:
        await house.publish(one, 1, 2, 3)
        await house.publish(another, 10, 20, 30)
        await house.relay.run_once()

        await house.work()

        of_one = [number for aggregate, number in attempts if aggregate == one]
        assert of_one == sorted(of_one)
        assert of_one.count(2) > 2
        effects = await house.effects()
        assert [number for number in effects if number < 10] == [1, 2, 3]
        assert [number for number in effects if number >= 10] == [10, 20, 30]
        assert effects.index(30) < effects.index(3)


@pytest.mark.parametrize("how", ["discarded", "out of retries", "of another shape"])
async def test_a_dead_event_lets_the_next_one_go_on(settings: TestSettings, how: str) -> None:
    async def cannot_do_the_second(delivery: Delivery[Moved]) -> None:
        if delivery.payload.number == 2:
            raise Discard("not this one") if how == "discarded" else Undo
        await note_once(delivery)

    async with bench(settings, hears("a", cannot_do_the_second, retries=2)) as house:
        aggregate = new_id()
        await house.publish(aggregate, 1, 2, 3)
        if how == "of another shape":
            await house.db.execute("UPDATE outbox SET payload = '[]' WHERE payload ->> 'number' = '2'")
        await house.relay.run_once()

        await house.work()

        assert await house.effects() == [1, 3]
        [dead] = await house.db.fetch_all("SELECT * FROM finished_tasks WHERE status = 'dead'")
        assert dead["last_error"]
        assert dead["order_key"] == f"a:thing:{aggregate}"


async def test_a_worker_lost_with_an_event_lets_nobody_overtake_it(settings: TestSettings) -> None:
    """The last of its crashes makes the event dead, and then only the next one goes on."""
    async with bench(settings, hears("a")) as house:
        await house.publish(new_id(), 1, 2)
        await house.relay.run_once()
        crashed = house.resources.settings.worker.max_crashes

        for crash in range(crashed):
            running = await claim_and_vanish(house)
            assert (crash, running) == (crash, [1])

        await house.work()
        assert await house.effects() == [2]
        assert await house.db.fetch_val("SELECT crash_count FROM finished_tasks WHERE status = 'dead'") == crashed


async def claim_and_vanish(house: Bench) -> list[int]:
    """As a worker that is killed with all it has claimed: its lease is over at once. Gives the events' numbers."""
    lanes = [store.Lane(name, priority, room=10) for name, priority in house.registry.lanes]
    claimed = await store.claim(house.db, lanes, worker="lost", lease=0, limit=10)
    await store.rescue(house.db, max_crashes=house.resources.settings.worker.max_crashes)
    return [each.payload["data"]["number"] for each in claimed]


async def test_work_that_is_asked_for_in_a_handler_goes_with_its_effects(settings: TestSettings) -> None:
    """An event leads to a task in the transaction of `once`: twice delivered, it is asked for once."""
    done: list[int] = []

    async def count(work: Work[Moved]) -> None:
        done.append(work.payload.number)

    async def asks(delivery: Delivery[Moved]) -> None:
        async with delivery.once() as is_new:
            if is_new:
                await delivery.resources.queue.enqueue(COUNT, delivery.payload)

    async with bench(settings, hears("a", asks)) as house:
        registry = Registry(handlers=[Handler(COUNT, count)], subscribers=house.registry.subscribers)
        worker = Runner(house.resources, registry, house.hints, "three")
        await house.publish(new_id(), 7)

        for _ in range(2):
            await house.relay.run_once()
            while await worker.run_once():
                pass
            await forget(house)

        assert done == [7]
