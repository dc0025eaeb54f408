"""What was published becomes a task for each subscriber: all of it, once, and nothing holds it up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson
import pytest
from structlog.testing import capture_logs

from app.core.beside import beside
from app.core.ids import new_id
from app.core.queue import Event
from app.embedded import PostgresServer, Stop
from app.tasks import Registry, store
from app.tasks.hints import Hints
from app.tasks.listener import Listener
from app.tasks.relay import BATCH, Relay
from app.tasks.store import Subscription
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.events import MOVED, Bench, Moved, bench, hears

WITHIN = 30.0  # seconds; a loaded machine, not a slow relay
SUBSCRIPTION = Subscription(MOVED.name, "a", priority=0, max_retries=3)
NEWER = Event("test.newer", Moved, aggregate="thing")

INSERT_MANY = """
INSERT INTO outbox (id, aggregate_type, aggregate_id, event_type, payload)
SELECT uuidv7(), 'thing', uuidv7(), 'test.moved', jsonb_build_object('number', number)
FROM generate_series(1, CAST(:count AS integer)) AS number
"""
INSERT_ODD = """
INSERT INTO outbox (id, aggregate_type, aggregate_id, event_type, payload)
VALUES (uuidv7(), :aggregate_type, uuidv7(), 'test.moved', CAST(CAST(:payload AS text) AS jsonb))
"""


async def tasks(bench: Bench) -> list[tuple[str, str, Any]]:
    """Handler, status and the event's own payload, in the order of positions."""
    rows = await bench.db.fetch_all("SELECT * FROM tasks ORDER BY order_position, task_type")
    return [(row["task_type"], row["status"], row["payload"]["data"]) for row in rows]


def metric(bench: Bench, name: str) -> float:
    text, _ = bench.resources.metrics.exposition("")
    [line] = [line for line in text.decode().splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


async def test_each_subscriber_gets_a_task_of_each_event_and_the_first_of_each_line_may_run(
    settings: TestSettings,
) -> None:
    async with bench(settings, hears("a"), hears("b")) as house:
        await house.publish(new_id(), 1, 2)

        assert await house.relay.run_once() == 2

        one, two = {"number": 1}, {"number": 2}
        assert await tasks(house) == [
            ("a", "pending", one),
            ("b", "pending", one),
            ("a", "waiting", two),
            ("b", "waiting", two),
        ]
        assert await house.relay.run_once() == 0
        assert (metric(house, "plinth_outbox_relayed_total"), metric(house, "plinth_outbox_tasks_total")) == (2, 4)


async def test_an_event_to_which_nobody_subscribes_is_marked_and_makes_nothing(settings: TestSettings) -> None:
    async with bench(settings, events=(MOVED,)) as house:
        await house.publish(new_id(), 1)

        assert await house.relay.run_once() == 1

        assert await tasks(house) == []
        assert await house.waiting() == 0


async def test_what_this_code_does_not_know_stays_for_newer_code_and_blocks_nobody(settings: TestSettings) -> None:
    aggregate = new_id()
    async with bench(settings, hears("a")) as house:
        await house.publish(aggregate, 1, event=NEWER)
        await house.publish(aggregate, 2)

        assert await house.relay.run_once() == 1
        assert await house.waiting() == 1
        newer = Registry(subscribers=[hears("a"), hears("b", event=NEWER)])
        assert await Relay(house.resources, newer, Hints()).run_once() == 1

        assert [(name, data["number"]) for name, _, data in await tasks(house)] == [("b", 1), ("a", 2)]
        assert await house.waiting() == 0


ODD = {
    "null": "null",
    "a scalar": "7",
    "text": '"DROP TABLE outbox"',
    "a list": "[[], {}]",
    "nothing of what is declared": '{"other": 1}',
    "another type": '{"number": "seven"}',
    "a number beyond all floats": '{"number": 1e400}',
    "deeper than a decoder goes": "[" * 1500 + "]" * 1500,
    "large": orjson.dumps({"number": 1, "more": "x" * 3_000_000}).decode(),
}


@pytest.mark.parametrize("payload", ODD.values(), ids=ODD)
async def test_whatever_an_event_holds_those_behind_it_take_effect(settings: TestSettings, payload: str) -> None:
    """What does not decode is a failure of its own task, and blocks none of those that are claimed with it."""
    aggregate = new_id()
    async with bench(settings, hears("a", retries=0)) as house:
        await house.publish(aggregate, 1)
        odd = {"aggregate_type": "thing", "payload": payload}
        await house.db.execute(INSERT_ODD, odd)
        await house.db.execute("UPDATE outbox SET aggregate_id = :id", {"id": aggregate})
        await house.publish(aggregate, 2)
        await house.relay.run_once()

        await house.work()

        effects = await house.effects()
        assert (effects[0], effects[-1]) == (1, 2)
        assert await house.db.fetch_val("SELECT count(*) FROM tasks") == 0


@pytest.mark.parametrize("payload", ODD.values(), ids=ODD)
async def test_whatever_an_event_holds_it_is_handed_on_with_those_behind_it(
    settings: TestSettings, payload: str
) -> None:
    """The relay decodes nothing, so that nothing in a payload can stop it."""
    async with bench(settings, hears("a")) as house:
        await house.publish(new_id(), 1)
        await house.db.execute(INSERT_ODD, {"aggregate_type": "thing", "payload": payload})
        await house.publish(new_id(), 2)

        assert await house.relay.run_once() == 3

        assert await house.waiting() == 0
        kept = "SELECT payload -> 'data' = CAST(CAST(:payload AS text) AS jsonb) FROM tasks ORDER BY order_position"
        same = [row[0] for row in await house.db.fetch_all(kept, {"payload": payload})]
        assert same == [False, True, False]


async def test_a_name_too_long_for_an_index_is_handed_on(settings: TestSettings) -> None:
    """Only other code than ours writes one; it must not stop the events of all."""
    async with bench(settings, hears("a")) as house:
        # Of all kinds of characters: a repeated one would be compressed to a length that fits.
        endless = "".join(chr(0x4E00 + (number * 7919) % 20_000) for number in range(20_000))
        await house.db.execute(INSERT_ODD, {"aggregate_type": endless, "payload": '{"number": 1}'})
        await house.publish(new_id(), 2)

        assert await house.relay.run_once() == 2

        assert [status for _, status, _ in await tasks(house)] == ["pending", "pending"]


async def test_it_goes_on_until_nothing_is_left(settings: TestSettings) -> None:
    count = 2 * BATCH + 3
    async with bench(settings, hears("a")) as house:
        await house.db.execute(INSERT_MANY, {"count": count})

        assert await house.relay.run_once() == count

        assert [data["number"] for _, _, data in await tasks(house)] == list(range(1, count + 1))


async def test_two_at_once_hand_each_event_on_once(settings: TestSettings) -> None:
    count = 3 * BATCH
    async with bench(settings, hears("a")) as house:
        await house.db.execute(INSERT_MANY, {"count": count})
        relays = [Relay(house.resources, house.registry, house.hints) for _ in range(4)]

        async def all_are_gone() -> bool:
            totals.extend(await asyncio.gather(*(relay.run_once() for relay in relays)))
            return await house.waiting() == 0

        totals: list[int] = []
        await eventually(all_are_gone, within=WITHIN)

        assert sum(totals) == count
        assert [data["number"] for _, _, data in await tasks(house)] == list(range(1, count + 1))


async def test_while_another_one_is_at_it_it_passes(settings: TestSettings) -> None:
    async with bench(settings, hears("a")) as house:
        await house.publish(new_id(), 1)

        async with house.db.transaction():
            await house.db.execute("SELECT pg_advisory_xact_lock(hashtextextended('plinth:relay', 0))")
            async with asyncio.TaskGroup() as group, house.db.detached():
                passed = group.create_task(house.relay.run_once())

        assert passed.result() == 0
        assert await house.relay.run_once() == 1


async def test_a_hint_wakes_it_and_it_tells_all_workers(
    settings: TestSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bench(settings, hears("a"), overrides=("worker.poll_interval=60",)) as house:
        rests, wait = asyncio.Event(), house.hints.wait

        async def resting(message: str, *, within: float) -> bool:
            rests.set()
            return await wait(message, within=within)

        monkeypatch.setattr(house.hints, "wait", resting)
        told: list[str] = []
        house.hints.on_message(told.append)
        elsewhere, heard = Hints(), list[str]()
        elsewhere.on_message(heard.append)
        async with (
            beside(Listener(house.resources, elsewhere).run(), name="listener"),
            beside(house.relay.run(), name="relay"),
        ):
            await eventually(lambda: "outbox" in heard, within=WITHIN)
            await eventually(rests.is_set, within=WITHIN)  # its first look is over, and has found nothing
            heard.clear()

            await house.publish(new_id(), 1)
            await eventually(lambda: "outbox" in heard, within=WITHIN)
            house.hints.tell("outbox")

            await eventually(lambda: "tasks" in heard, within=WITHIN)

        assert told == ["outbox", "tasks"]
        assert await house.waiting() == 0


async def test_without_any_hint_it_looks_by_itself(settings: TestSettings) -> None:
    async with bench(settings, hears("a"), overrides=("worker.poll_interval=0.05",)) as house:
        async with beside(house.relay.run(), name="relay"):
            for number in (1, 2):
                await house.publish(new_id(), number)
                await eventually(lambda: _none_waits(house), within=WITHIN)

        assert len(await tasks(house)) == 2


async def _none_waits(house: Bench) -> bool:
    return await house.waiting() == 0


async def test_the_look_for_the_first_of_a_line_is_repeated_where_it_failed(settings: TestSettings) -> None:
    """It comes after the commit: the next batch knows nothing of these lines any more."""
    blocked, free = new_id(), new_id()
    async with bench(settings, hears("a"), overrides=("database.lock_timeout=0.1",)) as house:
        await house.publish(blocked, 1)
        await store.move_events(house.db, [SUBSCRIPTION], known=[MOVED.name])
        await house.publish(blocked, 2)
        await house.publish(free, 3)

        async with house.db.transaction():
            await house.db.execute("SELECT id FROM tasks FOR UPDATE")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await _in_a_task_of_its_own(house)
        assert [status for _, status, _ in await tasks(house)] == ["waiting"] * 3
        assert await house.relay.run_once() == 0

        assert [status for _, status, _ in await tasks(house)] == ["pending", "waiting", "pending"]


async def _in_a_task_of_its_own(house: Bench) -> None:
    async with house.db.detached():
        await asyncio.create_task(_run_once(house.relay))


async def _run_once(relay: Relay) -> None:
    await relay.run_once()


@pytest.mark.fault
@pytest.mark.parametrize("how", [Stop.FAST, Stop.IMMEDIATE])
async def test_it_goes_on_when_postgres_is_back(
    own_settings: TestSettings, own_postgres: PostgresServer, how: Stop
) -> None:
    aggregate = new_id()
    with capture_logs() as logs:
        async with bench(own_settings, hears("a"), overrides=("worker.poll_interval=0.05",)) as house:
            async with beside(house.relay.run(), name="relay"):
                await house.publish(aggregate, 1)
                await eventually(lambda: _none_waits(house), within=WITHIN)

                await own_postgres.stop(how)
                await eventually(lambda: _interruptions(logs), within=WITHIN)
                await own_postgres.restart()
                await eventually(lambda: house.publish(aggregate, 2), within=WITHIN)
                await eventually(lambda: _none_waits(house), within=WITHIN)

            # Not both: after an immediate stop this server, which is not durable, may have forgotten the first one.
            [*_, (_, _, last)] = await tasks(house)
            assert last == {"number": 2}
            await house.db.execute("TRUNCATE tasks, outbox")

    assert [line["log_level"] for line in _interruptions(logs)].count("warning") == 1


def _interruptions(logs: Sequence[Any]) -> list[Any]:
    return [line for line in logs if line["event"] == "relay_interrupted"]


async def test_looks_that_meet_in_many_lines_do_not_wait_for_each_other_in_a_circle(settings: TestSettings) -> None:
    """Those of two workers and of the sweep; PostgreSQL would end one of them, and its lines would stand still."""
    count = 1000
    async with bench(settings, hears("a")) as house:
        await house.db.execute(INSERT_MANY, {"count": count})
        moved = await store.move_events(house.db, [SUBSCRIPTION], known=[MOVED.name], limit=count)
        assert moved is not None

        keys = moved.order_keys
        looks = [store.promote(house.db, keys), store.promote(house.db, keys[::-1]), store.promote_all(house.db)]
        promoted = await asyncio.gather(*looks)

        assert sum(promoted) == len(keys) == count
