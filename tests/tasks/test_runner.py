"""What becomes of a task, by what its handler does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from app.core.database import ConnectionTrouble
from app.core.queue import Task
from app.core.resources import Resources
from app.tasks import Discard, Handler, Registry, RetryLater, Work
from app.tasks import running as _running
from app.tasks.failure import LONGEST, LONGEST_MESSAGE
from app.tasks.outcomes import LeaseLost
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.tasks.runners import Number, ended, enqueue, opened, runner_of, running, waiting

SECRET = "canary-swordfish-1234"
TASK = Task("test.work", Number, retries=2)
QUICK = Task("test.quick", Number, timeout=0.1, retries=0)
Run = Callable[[Work[Number]], Awaitable[None]]


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with opened(settings("worker.retry_delay=0")) as found:
        yield found


async def step(resources: Resources, run: Run, task: Task[Number] = TASK) -> dict[str, Any]:
    """Enqueue one, run it once, and give its row, wherever it is by then."""
    await enqueue(resources, task)
    assert await runner_of(resources, Registry([Handler(task, run)])).run_once() == 1
    [row] = [*await waiting(resources), *await ended(resources)]
    return row


async def test_a_task_is_done_when_its_handler_returns(resources: Resources) -> None:
    done: list[int] = []

    async def run(work: Work[Number]) -> None:
        done.append(work.payload.number)

    await enqueue(resources, TASK, range(3))
    runner = runner_of(resources, Registry([Handler(TASK, run)]))

    assert await runner.run_once() == 3
    assert await runner.run_once() == 0
    assert sorted(done) == [0, 1, 2]


async def test_a_runner_does_what_comes_until_it_is_stopped(resources: Resources) -> None:
    done: list[int] = []

    async def run(work: Work[Number]) -> None:
        done.append(work.payload.number)

    async def all_ended() -> bool:
        return len(await ended(resources)) == 600

    async with running(runner_of(resources, Registry([Handler(TASK, run)]))):
        await enqueue(resources, TASK, range(600))
        await eventually(all_ended, within=60)

    assert sorted(done) == list(range(600))


async def test_an_error_is_tried_again_and_then_kept(resources: Resources) -> None:
    attempts: list[tuple[int, int]] = []

    async def run(work: Work[Number]) -> None:
        attempts.append((work.attempt, work.lease_seq))
        raise ValueError("no such luck")

    await enqueue(resources, TASK)
    runner = runner_of(resources, Registry([Handler(TASK, run)]))
    for _ in range(4):
        await runner.run_once()

    [dead] = await ended(resources)
    assert attempts == [(1, 1), (2, 2), (3, 3)]
    assert (dead["status"], dead["retry_count"]) == ("dead", 2)
    assert dead["last_error"].startswith("ValueError: no such luck\n")
    assert 'raise ValueError("no such luck")' in dead["last_error"]


async def test_discarding_needs_no_retries(resources: Resources) -> None:
    async def run(_work: Work[Number]) -> None:
        raise Discard("there is nobody to write to")

    row = await step(resources, run)

    assert row["status"] == "dead"
    assert "there is nobody to write to" in row["last_error"]


async def test_retrying_later_is_no_failure(resources: Resources) -> None:
    async def run(_work: Work[Number]) -> None:
        raise RetryLater(100)

    row = await step(resources, run)

    assert (row["status"], row["retry_count"]) == ("pending", 0)
    assert 0 < (row["run_at"] - row["now"]).total_seconds() <= 100


async def test_a_payload_of_another_version_is_a_failure_like_any_other(resources: Resources) -> None:
    async def run(_work: Work[Number]) -> None:
        raise AssertionError("it was called with something else")

    await enqueue(resources, TASK)
    await resources.database.execute("""UPDATE tasks SET payload = '{"number": "one"}'""")
    await runner_of(resources, Registry([Handler(TASK, run)])).run_once()

    [row] = await waiting(resources)
    assert (row["status"], row["retry_count"]) == ("pending", 1)
    assert row["last_error"].startswith("WrongPayload: ")


async def test_a_run_that_takes_too_long_is_cancelled_and_counts_as_failed(resources: Resources) -> None:
    async def run(_work: Work[Number]) -> None:
        await asyncio.Event().wait()

    row = await step(resources, run, QUICK)

    assert row["status"] == "dead"
    assert row["last_error"].startswith("TimeoutError: it had not ended after 0.1 s")


async def test_a_run_that_will_not_be_cancelled_does_not_keep_its_place(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_running, "PATIENCE", 0.1)
    let_go = asyncio.Event()

    async def run(_work: Work[Number]) -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    with capture_logs() as logs:
        row = await step(resources, run, QUICK)

    let_go.set()
    assert row["status"] == "dead"
    assert "could not be cancelled" in row["last_error"]
    assert [each["event"] for each in logs].count("task_stuck") == 1


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3), BaseException("odd")])
async def test_an_error_beyond_all_errors_ends_its_task_and_not_the_runner(
    resources: Resources, error: BaseException
) -> None:
    async def run(work: Work[Number]) -> None:
        if work.payload.number == 0:
            raise error

    await enqueue(resources, TASK, [0, 1])
    await runner_of(resources, Registry([Handler(TASK, run)])).run_once()

    [failed] = await waiting(resources)
    [done] = await ended(resources)
    assert (failed["retry_count"], done["status"]) == (1, "done")
    assert failed["last_error"].startswith(type(error).__name__)


async def test_a_secret_in_an_error_is_masked_before_it_is_kept(resources: Resources) -> None:
    secret = resources.settings.database.password.reveal()

    async def run(_work: Work[Number]) -> None:
        # The cut of the message falls into the second one.
        raise ValueError(f"\x00 {secret} {'.' * (LONGEST_MESSAGE - len(secret) - 25)} {secret}")

    row = await step(resources, run)

    assert secret[:6] not in row["last_error"]
    assert "\\x00" in row["last_error"]
    assert len(row["last_error"]) <= LONGEST


async def test_effects_and_end_are_stored_together(resources: Resources) -> None:
    db = resources.database
    await db.execute("CREATE TABLE effects (number integer)")

    async def run(work: Work[Number]) -> None:
        async with work.finishing():
            await db.execute("INSERT INTO effects VALUES (1)")
            if work.attempt == 1:
                raise ValueError("not yet")
        raise ValueError("too late to matter")

    await enqueue(resources, TASK)
    runner = runner_of(resources, Registry([Handler(TASK, run)]))
    counts = []
    for _ in range(3):
        await runner.run_once()
        counts.append(await db.fetch_val("SELECT count(*) FROM effects"))

    [row] = await ended(resources)
    assert (row["status"], row["lease_seq"], counts) == ("done", 2, [0, 1, 1])


async def test_a_run_is_logged_with_the_request_that_asked_for_it_and_nothing_of_the_one_before(
    resources: Resources,
) -> None:
    seen: list[dict[str, Any]] = []

    async def run(work: Work[Number]) -> None:
        seen.append(structlog.contextvars.get_contextvars())
        structlog.contextvars.bind_contextvars(leaked=work.payload.number)

    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        [first] = await enqueue(resources, TASK)
    await enqueue(resources, TASK, range(20))
    await runner_of(resources, Registry([Handler(TASK, run)])).run_once()

    about = {str(each["task_id"]): each for each in seen}
    assert about[str(first)] == {"task_id": str(first), "task_type": TASK.name, "attempt": 1, "request_id": "r-1"}
    assert len(about) == 21
    assert not any("leaked" in each for each in seen)


async def test_a_commit_whose_answer_is_lost_is_not_taken_for_a_lost_lease(resources: Resources) -> None:
    async def run(work: Work[Number]) -> None:
        async with work.finishing():
            pass
        raise ConnectionTrouble("the answer to the commit was lost")

    async def unknown(work: Work[Number]) -> None:
        async with work.resources.database.transaction() as transaction:
            await work.settle()
            transaction._after_commit.clear()
        raise ConnectionTrouble("the answer to the commit was lost")

    with capture_logs() as logs:
        await step(resources, run)
        assert (await enqueue(resources, TASK)) != []
        assert await runner_of(resources, Registry([Handler(TASK, unknown)])).run_once() == 1

    assert [row["status"] for row in await ended(resources)] == ["done", "done"]
    assert "task_lost" not in [each["event"] for each in logs]


async def test_a_handler_that_has_lost_its_task_stores_nothing(resources: Resources) -> None:
    db = resources.database
    await db.execute("CREATE TABLE effects (number integer)")
    refused: list[BaseException] = []

    async def run(work: Work[Number]) -> None:
        await db.execute("DELETE FROM tasks")
        try:
            async with work.finishing():
                await db.execute("INSERT INTO effects VALUES (1)")
        except LeaseLost as error:
            refused.append(error)

    await enqueue(resources, TASK)
    with capture_logs() as logs:
        await runner_of(resources, Registry([Handler(TASK, run)])).run_once()

    assert len(refused) == 1
    assert await db.fetch_val("SELECT count(*) FROM effects") == 0
    assert "task_lost" in [each["event"] for each in logs]
