"""Tasks whose worker stalls, loses its database, or is told to stop: nobody's effects count twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from math import inf
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from app.core.database import ConnectionTrouble, Database
from app.core.ids import new_id
from app.core.queue import Task
from app.core.resources import Resources
from app.core.settings.sections.worker import Worker
from app.tasks import Handler, Registry, Work, claimer, store, upkeep
from app.tasks.claimer import Claimer
from app.tasks.hints import Hints
from app.tasks.leases import Leases
from app.tasks.own_database import open_own_database
from app.tasks.registry import Runnable
from app.tasks.run import Run
from app.tasks.runner import Runner
from app.tasks.store import Claimed
from tests.harness.clock import FakeClock
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.runners import Number, ended, enqueue, opened, runner_of, running, waiting

TASK = Task("test.work", Number)
EXPIRE = "UPDATE tasks SET locked_until = now() - interval '1 second'"


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with opened(settings("worker.retry_delay=0")) as found:
        await found.database.execute("CREATE TABLE effects (by integer NOT NULL)")
        yield found


class Stalled:
    """A handler whose first run stands still until it is let go; then it makes its effect, in the way that is given."""

    def __init__(self, *, is_fenced: bool) -> None:
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self.is_fenced = is_fenced

    async def run(self, work: Work[Number]) -> None:
        if work.lease_seq == 1:
            self.began.set()
            await self.go_on.wait()
        db = work.resources.database
        if self.is_fenced:
            async with work.finishing():
                await db.execute("INSERT INTO effects VALUES (:by)", {"by": work.lease_seq})
        else:
            await db.execute("INSERT INTO effects VALUES (:by)", {"by": work.lease_seq})


async def outlived(resources: Resources, handler: Stalled) -> list[int]:
    """One runner stalls in the task until another one has done it; gives whose effects there are."""
    registry = Registry([Handler(TASK, handler.run)])
    await enqueue(resources, TASK)
    stalled = asyncio.create_task(runner_of(resources, registry).run_once())
    await handler.began.wait()
    await resources.database.execute(EXPIRE)
    assert await runner_of(resources, registry).run_once() == 1
    handler.go_on.set()
    await stalled
    rows = await resources.database.fetch_all("SELECT by FROM effects ORDER BY by")
    return [row["by"] for row in rows]


async def test_a_stalled_runner_neither_ends_the_task_nor_keeps_its_effects(resources: Resources) -> None:
    with capture_logs() as logs:
        effects = await outlived(resources, Stalled(is_fenced=True))

    [row] = await ended(resources)
    assert effects == [2]
    assert (row["lease_seq"], row["crash_count"], row["status"]) == (2, 1, "done")
    assert [each["event"] for each in logs].count("task_lost") == 1


async def test_without_finishing_the_stalled_runners_effects_are_there_too(resources: Resources) -> None:
    """The control: what is made outside of `finishing` is made at least once, and here twice."""
    assert await outlived(resources, Stalled(is_fenced=False)) == [1, 2]


async def test_an_update_by_id_alone_would_overwrite_the_new_owner(db: Database) -> None:
    """The control of the fence (stack notes, J1): the same two workers, with and without it."""
    task_id = new_id()
    await db.execute(
        "INSERT INTO tasks (id, task_type, status, locked_by, locked_until, lease_seq) "
        "VALUES (:id, 'test.work', 'running', 'second', now() + interval '1 minute', 2)",
        {"id": task_id},
    )

    assert await store.finish(db, [store.Ending(task_id, lease_seq=1)]) == []
    assert await db.fetch_val("SELECT locked_by FROM tasks") == "second"
    await db.execute("UPDATE tasks SET locked_by = 'first' WHERE id = :id", {"id": task_id})
    assert await db.fetch_val("SELECT locked_by FROM tasks") == "first"


async def test_handlers_that_hold_every_connection_do_not_cost_the_runner_its_leases(settings: TestSettings) -> None:
    """They hold all of them for several leases; each task runs once. The control shares, and loses them."""
    assert await holding_all(settings, owns=True, lease=6, seconds=13) == {1}
    assert await holding_all(settings, owns=False, lease=2, seconds=inf) != {1}


async def holding_all(settings: TestSettings, *, owns: bool, lease: float, seconds: float) -> set[int]:
    """Two handlers hold two connections for so long, or until one was lost; gives the `lease_seq` of all runs begun."""
    seqs: set[int] = set()
    enough = asyncio.Event()

    async def run(work: Work[Number]) -> None:
        seqs.add(work.lease_seq)
        async with work.resources.database.transaction():
            await enough.wait()

    overrides = (f"worker.lease={lease}", "worker.concurrency=2", "database.pool_max=2")
    async with opened(settings(*overrides)) as resources, open_own_database(resources) as own:
        await resources.database.execute("DELETE FROM tasks")
        await enqueue(resources, TASK, range(2))
        database = own if owns else None
        runner = Runner(resources, Registry([Handler(TASK, run)]), Hints(), "w", database=database)
        async with running(runner):
            await eventually(lambda: seqs, within=30)
            clock = asyncio.get_running_loop().time
            began = clock()
            await eventually(lambda: clock() - began > seconds or seqs != {1}, within=60)
            enough.set()
    return seqs


async def test_a_lease_is_kept_as_long_as_the_run_takes(settings: TestSettings) -> None:
    go_on = asyncio.Event()
    seqs: list[int] = []

    async def run(work: Work[Number]) -> None:
        seqs.append(work.lease_seq)
        await go_on.wait()

    async with opened(settings("worker.lease=30")) as resources:
        runner = runner_of(resources, Registry([Handler(TASK, run)]))
        await enqueue(resources, TASK)
        async with running(runner):
            [first] = await eventually(lambda: held(resources), within=30)
            await eventually(lambda: renewed(resources, first["locked_until"]), within=60)
            go_on.set()

        assert seqs == [1]
        assert [row["status"] for row in await ended(resources)] == ["done"]


async def held(resources: Resources) -> list[dict[str, datetime]]:
    return [row for row in await waiting(resources) if row["status"] == "running"]


async def renewed(resources: Resources, before: datetime) -> bool:
    [row] = await held(resources)
    return row["locked_until"] > before


async def test_a_hint_cancels_the_run_of_a_task_that_is_gone(resources: Resources) -> None:
    cancelled = asyncio.Event()
    began = asyncio.Event()

    async def run(_work: Work[Number]) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    hints = Hints()
    [task_id] = await enqueue(resources, TASK)
    async with running(Runner(resources, Registry([Handler(TASK, run)]), hints, "w")):
        await began.wait()
        hints.tell(f"cancel:{task_id}")  # a wrong one harms nobody
        hints.tell("cancel:nonsense")
        await resources.database.execute("DELETE FROM tasks")
        hints.tell(f"cancel:{task_id}")
        async with asyncio.timeout(30):
            await cancelled.wait()

    assert await ended(resources) == []


async def test_leases_are_let_go_when_the_database_does_not_answer() -> None:
    """The database is away for good: nothing is renewed, and the run is given up before its lease is over."""
    lost: list[Run] = []
    run = run_until(asyncio.get_running_loop().time() + 1.0)
    leases = Leases(Away(), [run], lease=1.0, writing=asyncio.Lock(), lose=lost.append)  # type: ignore[arg-type]

    fencing = asyncio.create_task(leases.run())
    await eventually(lambda: lost, within=30)
    fencing.cancel()

    assert lost[0] is run
    with pytest.raises(asyncio.CancelledError):
        await fencing


class Away:
    """A database that has gone."""

    async def fetch_all(self, *_: object) -> None:
        raise ConnectionTrouble("it has gone")


def run_until(until: float) -> Run:
    claimed = Claimed(new_id(), TASK.name, {}, 0, 0, 5, 0, 1, datetime.now(UTC), None, {}, 0.0)

    async def nothing(_work: Work[Number]) -> None:
        return

    return Run(claimed, Runnable(TASK.name, 60, None, Handler(TASK, nothing)), taken=0.0, until=until)


async def test_what_a_lost_answer_has_claimed_is_given_back(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim happens, its answer does not come: the tasks run at once, and no crash is counted."""
    lost: list[int] = []
    claim = store.claim

    async def losing(*args: object, **options: object) -> list[Claimed]:
        claimed = await claim(*args, **options)  # type: ignore[arg-type]
        if claimed and not lost:
            lost.append(len(claimed))
            raise ConnectionTrouble("the answer was lost")
        return claimed

    async def all_ended() -> bool:
        return len(await ended(resources)) == 3

    async def run(_work: Work[Number]) -> None:
        return

    monkeypatch.setattr(store, "claim", losing)
    await enqueue(resources, TASK, range(3))
    async with running(runner_of(resources, Registry([Handler(TASK, run)]))):
        await eventually(all_ended, within=30)

    assert lost == [3]
    assert {(row["crash_count"], row["lease_seq"]) for row in await ended(resources)} == {(0, 2)}


async def test_a_claim_is_in_doubt_until_it_was_given_back_however_long_that_fails(
    resources: Resources, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    """The database is away for longer than any statement may take."""
    claim, disown = store.claim, store.disown
    disowned: list[int] = []

    async def losing(*args: object, **options: object) -> list[Claimed]:
        await claim(*args, **options)  # type: ignore[arg-type]
        raise ConnectionTrouble("the answer was lost")

    async def away(*_: object, **__: object) -> list[UUID]:
        raise ConnectionTrouble("it has gone")

    async def counting(*args: object, **options: object) -> list[UUID]:
        found = await disown(*args, **options)  # type: ignore[arg-type]
        disowned.append(len(found))
        return found

    async def claimed_after(seconds: float) -> int:
        clock.advance(seconds)
        return len(await claimer_.claim(10))

    async def nothing(_work: Work[Number]) -> None:
        return

    monkeypatch.setattr(claimer, "time", clock)
    claimer_ = Claimer(resources.database, Registry([Handler(TASK, nothing)]), [], name="w", lease=3600)
    await enqueue(resources, TASK, range(3))
    for name, fault in (("claim", losing), ("disown", away), ("disown", away)):
        monkeypatch.setattr(store, name, fault)
        with pytest.raises(ConnectionTrouble):
            await claimed_after(60)
    monkeypatch.setattr(store, "claim", claim)
    monkeypatch.setattr(store, "disown", counting)

    assert await claimed_after(60) == 3
    assert await claimed_after(60) == 0
    assert disowned == [3]


async def test_an_end_whose_answer_is_lost_is_stored_once_and_not_taken_for_lost(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[int] = []
    finish = store.finish

    async def losing(db: Database, endings: list[store.Ending]) -> list[store.Settled]:
        settled = await finish(db, endings)
        if not lost:
            lost.append(len(settled))
            raise ConnectionTrouble("the answer was lost")
        return settled

    async def run(_work: Work[Number]) -> None:
        return

    monkeypatch.setattr(store, "finish", losing)
    await enqueue(resources, TASK, range(3))
    with capture_logs() as logs:
        assert await runner_of(resources, Registry([Handler(TASK, run)])).run_once() == 3

    assert sum(lost) > 0
    assert [row["status"] for row in await ended(resources)] == ["done"] * 3
    assert "task_lost" not in [each["event"] for each in logs]


async def test_one_end_that_the_database_refuses_keeps_no_other_from_being_stored(resources: Resources) -> None:
    db = resources.database
    await db.execute("ALTER TABLE finished_tasks ADD CONSTRAINT odd CHECK (payload <> '{\"number\": 1}') NOT VALID")

    async def run(_work: Work[Number]) -> None:
        return

    await enqueue(resources, TASK, range(5))
    with capture_logs() as logs:
        assert await runner_of(resources, Registry([Handler(TASK, run)])).run_once() == 5

    assert {row["payload"]["number"] for row in await ended(resources)} == {0, 2, 3, 4}
    assert [each["event"] for each in logs].count("task_lost") == 1


async def test_at_a_stop_what_runs_may_end_and_the_rest_is_given_back(resources: Resources) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    ran: list[int] = []

    async def run(work: Work[Number]) -> None:
        ran.append(work.payload.number)
        began.set()
        await (go_on.wait() if work.payload.number == 0 else asyncio.Event().wait())

    await enqueue(resources, TASK, range(30))
    runner = runner_of(resources, Registry([Handler(TASK, run)]))
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run())
        await began.wait()
        finishing = group.create_task(runner.finish(2.0))
        go_on.set()
        await finishing

    rows = await waiting(resources)
    assert [row["payload"]["number"] for row in await ended(resources)] == [0]
    assert {(row["status"], row["retry_count"], row["crash_count"]) for row in rows} == {("pending", 0, 0)}
    assert len(rows) == 29
    assert len(ran) <= resources.settings.worker.concurrency + 1


async def test_a_poison_task_does_not_take_a_fourth_worker_with_it(resources: Resources) -> None:
    async def run(_work: Work[Number]) -> None:
        raise AssertionError("it ran although it is dead")

    await enqueue(resources, TASK)
    lanes = [store.Lane(TASK.name, 0, room=1)]
    runner = runner_of(resources, Registry([Handler(TASK, run)]))
    for _ in range(2):
        await store.claim(resources.database, lanes, worker="lost", lease=0.0, limit=1)
        await store.rescue(resources.database, max_crashes=3)
    await store.claim(resources.database, lanes, worker="lost", lease=0.0, limit=1)

    assert await runner.run_once() == 0
    assert [row["status"] for row in await ended(resources)] == ["dead"]


def test_what_a_lost_worker_had_is_due_and_looked_for_within_five_seconds_of_its_lease() -> None:
    """The look for it, or its distance from what it was lost with and the look for work; and a second for the claim."""
    slow = upkeep.MOST * upkeep.RESCUE_EVERY * (1 + upkeep.SPREAD)

    assert max(slow, upkeep.APART + Worker().poll_interval) <= 5.0 - 1.0


@pytest.mark.parametrize("grace", [0.0, 1.0])
async def test_a_handler_that_will_not_stop_does_not_hold_up_the_end(resources: Resources, grace: float) -> None:
    began, let_go = asyncio.Event(), asyncio.Event()
    cleaned_up: list[int] = []

    async def run(work: Work[Number]) -> None:
        began.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                if work.payload.number == 0:
                    cleaned_up.append(0)
                    raise

    await enqueue(resources, TASK, range(2))
    runner = runner_of(resources, Registry([Handler(TASK, run)]))
    async with asyncio.TaskGroup() as group:
        group.create_task(runner.run())
        await began.wait()
        async with asyncio.timeout(30):
            await runner.finish(grace)

    rows = await waiting(resources)
    let_go.set()
    assert cleaned_up == [0]
    assert [(row["status"], row["retry_count"], row["crash_count"]) for row in rows] == [("pending", 0, 0)] * 2
