"""The parts of a worker side by side: one that fails is started again, and what nobody can start ends the process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from app.core.beside import beside
from app.core.database import ConnectionTrouble
from app.core.lifecycle import Lifecycle
from app.core.queue import Task
from app.core.resources import Resources, open_resources
from app.tasks import Handler, Registry, Work, store
from app.tasks.restarted import restarted
from app.tasks.store import Claimed
from app.tasks.worker import Worker, open_worker
from tests.harness.fault_tasks import Nap
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

WITHIN = 30.0  # seconds; a loaded machine, not a slow worker
TASK = Task("test.work", Nap, timeout=3600)


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with open_resources(settings("worker.lease=3600"), Lifecycle()) as found:
        yield found


async def ask(resources: Resources) -> None:
    async with resources.database.transaction():
        await resources.queue.enqueue(TASK, Nap())


async def at_once(_: Work[Nap]) -> None: ...


async def for_ever(_: Work[Nap]) -> None:
    await asyncio.Event().wait()


async def is_running(resources: Resources) -> bool:
    return bool(await resources.database.fetch_val("SELECT EXISTS (SELECT FROM tasks WHERE status = 'running')"))


async def test_a_part_that_fails_is_started_again_and_said_to() -> None:
    starts: list[int] = []

    async def run() -> None:
        starts.append(1)
        if len(starts) == 1:
            raise RuntimeError("a fault of ours")
        if len(starts) == 2:
            raise ConnectionTrouble("an outage")
        await asyncio.Event().wait()

    with capture_logs() as logs:
        async with beside(restarted("relay", run), name="relay"):
            await eventually(lambda: len(starts) == 3, within=WITHIN)

    failed = [(line["part"], line["reason"], line["log_level"], line["exc_info"]) for line in logs]
    assert failed == [
        ("relay", "a fault of ours", "error", True),
        ("relay", "an outage", "warning", False),
    ]


async def test_a_part_that_returns_is_not_started_again() -> None:
    starts: list[int] = []

    async def run() -> None:
        starts.append(1)

    async with asyncio.timeout(WITHIN):
        await restarted("listener", run)

    assert starts == [1]


async def test_a_failing_part_stops_no_other(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: object) -> None:
        raise RuntimeError("a fault of ours")

    for part in ("relay.Relay", "scheduler.Scheduler", "listener.Listener", "depth.Depth"):
        monkeypatch.setattr(f"app.tasks.{part}.run", fail)
    with capture_logs() as logs:
        async with open_worker(resources, Registry([Handler(TASK, at_once)])):
            await eventually(lambda: len({line.get("part") for line in logs} - {None}) == 4, within=WITHIN)
            await ask(resources)
            done = "SELECT count(*) FROM finished_tasks WHERE status = 'done'"
            await eventually(lambda: resources.database.fetch_val(done), within=WITHIN)


async def test_a_block_that_fails_gives_its_tasks_back_at_once(resources: Resources) -> None:
    """Nobody has asked for a grace: the process is on its way out."""
    await ask(resources)

    async with asyncio.timeout(WITHIN):
        with suppress(ZeroDivisionError):
            async with open_worker(resources, Registry([Handler(TASK, for_ever)])):
                await eventually(lambda: is_running(resources), within=WITHIN)
                raise ZeroDivisionError

    rows = await resources.database.fetch_all("SELECT status, retry_count, crash_count FROM tasks")
    assert [tuple(row) for row in rows] == [("pending", 0, 0)]


async def test_a_worker_that_cannot_go_on_ends_its_process(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Worker) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Worker, "_announce", fail)

    with pytest.raises(RuntimeError, match="a fault of ours"):
        async with open_worker(resources, Registry()), asyncio.timeout(WITHIN):
            await resources.lifecycle.stop_requested.wait()


async def test_a_stop_that_fails_is_logged_and_leaves_tasks_to_their_leases(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise ConnectionTrouble("an outage")

    monkeypatch.setattr("app.tasks.runner.Runner.finish", fail)

    with capture_logs() as logs:
        async with open_worker(resources, Registry([Handler(TASK, at_once)])):
            resources.lifecycle.stop_requested.set()

    events = [line["event"] for line in logs]
    assert events.index("worker_stop_failed") < events.index("worker_stopped")


async def test_what_is_claimed_while_the_worker_stops_is_given_back_without_a_beginning(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer comes when nothing is left to wait for: nobody would end it, and it would wait for its lease."""
    began: list[Work[Nap]] = []

    async def run(work: Work[Nap]) -> None:
        began.append(work)
        await asyncio.Event().wait()

    async def claim(*given: object, **options: object) -> list[Claimed]:
        found = await store_claim(*given, **options)  # type: ignore[arg-type]
        if found:
            resources.lifecycle.stop_requested.set()
            await eventually(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "relay"], within=9)
        return found

    store_claim = store.claim
    monkeypatch.setattr(store, "claim", claim)
    await ask(resources)
    async with open_worker(resources, Registry([Handler(TASK, run)])):
        await resources.lifecycle.stop_requested.wait()

    rows = await resources.database.fetch_all("SELECT status, retry_count, crash_count FROM tasks")
    assert [tuple(row) for row in rows] == [("pending", 0, 0)]
    assert began == []
