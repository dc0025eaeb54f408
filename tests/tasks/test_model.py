"""Random histories of the queue against a model of it, and what the same histories say of a queue that is wrong."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from app.core.database import Database, Statement, open_database
from app.core.queue import Priority
from app.core.settings import Settings
from app.tasks.store import claiming, ordering, relaying, settling
from tests.harness.background import BackgroundLoop
from tests.harness.settings import TestSettings
from tests.tasks.queue_machine import AGGREGATES, BOUNDED, FREE, MOVED, QueueMachine

LONG = bool(os.environ.get("PLINTH_LONG"))
HISTORIES, STEPS = (500, 80) if LONG else (20, 40)
FREELY = settings(
    max_examples=HISTORIES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if LONG or phase is not Phase.shrink],  # which takes minutes
    print_blob=True,
)


@pytest.fixture
def machine(background: BackgroundLoop, settings: TestSettings) -> Iterator[type[QueueMachine]]:
    """On one database for all histories; each begins with empty tables. Some wait for locks, and rightly so."""
    limits = (f"database.{limit}=60" for limit in ("lock_timeout", "statement_timeout", "command_timeout"))
    with machine_on(background, settings(*limits)) as patient:
        yield patient


@pytest.fixture
def impatient(background: BackgroundLoop, settings: TestSettings) -> Iterator[type[QueueMachine]]:
    """For what waits for ever."""
    with machine_on(background, settings("database.lock_timeout=1")) as machine:
        yield machine


@contextmanager
def machine_on(background: BackgroundLoop, settings: Settings) -> Iterator[type[QueueMachine]]:
    opening = open_database(settings.database)

    async def opened() -> Database:
        return await opening.__aenter__()

    async def closed() -> None:
        await opening.__aexit__(None, None, None)

    db = background.call(opened())
    try:
        yield type("Machine", (QueueMachine,), {"background": background, "db": db})
    finally:
        background.call(closed())


@pytest.mark.timeout(1800 if LONG else 120)
def test_every_history_agrees_with_the_model(machine: type[QueueMachine]) -> None:
    run_state_machine_as_test(machine, settings=FREELY)


class Watched:
    """Compares after every step."""

    def __init__(self, machine: QueueMachine) -> None:
        self._machine = machine

    def __getattr__(self, name: str) -> Callable[..., None]:
        def step(*arguments: Any, **options: Any) -> None:
            getattr(self._machine, name)(*arguments, **options)
            self._machine.the_database_agrees()

        return step


FENCE = "AND tasks.lease_seq = {}.lease_seq"
FENCE_BY_PLACE = "AND tasks.lease_seq = (CAST($2 AS bigint[]))[array_position(CAST($1 AS uuid[]), tasks.id)]"
SKIP, LAST = "FOR UPDATE SKIP LOCKED", "WHERE tasks.order_key = changed.order_key ORDER"
RELAY = "pg_try_advisory_xact_lock(hashtextextended('plinth:relay', 0))"
FIRST = "ORDER BY order_position, id"


def a_zombie(act: str) -> Callable[[Watched], None]:
    """Its lease has run out, and another worker has the task."""

    def history(machine: Watched) -> None:
        machine.enqueue(FREE, Priority.NORMAL, 0.0, None, commit=True)
        machine.claim("a", 1, oldest_first=False, heard=True)
        machine.crash("a")
        machine.rescue(survives=True)
        machine.claim("b", 1, oldest_first=False, heard=True)
        machine.act_as_a_zombie(0, act)

    return history


def slow_claim(machine: Watched) -> None:
    machine.enqueue_many(FREE, 3, commit=True)
    machine.begin_to_claim("a", 1)
    machine.claim("b", 2, oldest_first=False, heard=True)
    machine.end_held("a", commit=True)


def claims_at_once(machine: Watched) -> None:
    for _ in range(20):
        machine.enqueue_many(BOUNDED, 3, commit=True)
        machine.claim_together(bounded=True, finish=True)


def slow_finish(machine: Watched) -> None:
    machine.enqueue_many(FREE, 2, commit=True)
    machine.claim("a", 2, oldest_first=False, heard=True)
    machine.stall("a", 0)
    machine.begin_to_finish("a", 0)
    machine.rescue(survives=True)
    machine.end_held("a", commit=True)


def lost_worker(machine: Watched) -> None:
    machine.enqueue_many(FREE, 2, commit=True)
    machine.claim("a", 1, oldest_first=False, heard=True)
    machine.claim("b", 1, oldest_first=False, heard=True)
    machine.crash("a")
    machine.rescue(survives=True)


def lost_answer(machine: Watched) -> None:
    machine.enqueue_many(FREE, 2, commit=True)
    machine.claim("a", 1, oldest_first=False, heard=True)
    machine.claim("a", 1, oldest_first=False, heard=False)
    machine.disown("a")


def slow_first(machine: Watched) -> None:
    """The second event comes while the first is dealt with."""
    for _ in range(2):
        machine.publish(MOVED, AGGREGATES[0])
        machine.move_events(100, knows_all=True, together=False, survives=True)
        machine.claim("a", 1, oldest_first=False, heard=True)
    machine.promote_all()


def killed_before_its_look(machine: Watched) -> None:
    machine.publish(MOVED, AGGREGATES[0])
    machine.publish(MOVED, AGGREGATES[0])
    machine.move_events(100, knows_all=True, together=False, survives=False)
    machine.promote_all()


def two_relays(machine: Watched) -> None:
    machine.publish(MOVED, AGGREGATES[0])
    machine.move_events(100, knows_all=True, together=True, survives=True)


WRONG: dict[str, tuple[Callable[[Watched], None], Statement, dict[str, str]]] = {
    "a finish without the fence": (a_zombie("finish"), settling.FINISH, {FENCE_BY_PLACE: ""}),
    "a requeue without the fence": (a_zombie("fail"), settling.REQUEUE, {FENCE.format("again"): ""}),
    "a renewal without the fence": (a_zombie("renew"), settling.RENEW, {FENCE.format("held"): ""}),
    "a claim that keeps the fence": (a_zombie("renew"), claiming.CLAIM, {"= lease_seq + 1": "= lease_seq"}),
    "a rescue that counts no crash": (a_zombie("renew"), claiming.RESCUE, {"crash_count = crashes,": ""}),
    "a rescue of who is alive": (lost_worker, claiming.RESCUE, {"AND locked_until < now()": ""}),
    "a rescue that waits for others": (slow_finish, claiming.RESCUE, {SKIP: "FOR UPDATE"}),
    "a claim that waits for others": (slow_claim, claiming.CLAIM, {SKIP: "FOR UPDATE"}),
    "a claim that locks nothing": (slow_claim, claiming.CLAIM, {SKIP: ""}),
    "claims side by side": (claims_at_once, claiming.LOCK_TYPES, {"pg_advisory_xact_lock": "abs"}),
    "what is known, disowned": (lost_answer, claiming.DISOWN, {"AND id <> ALL": "AND id = ANY"}),
    "the first of those that wait": (
        slow_first,
        ordering.PROMOTE,
        {LAST: LAST.replace("ORDER", "AND status = 'waiting' ORDER"), "AND active.status <> 'waiting'": "AND false"},
    ),
    "the last of a line": (killed_before_its_look, ordering.PROMOTE_ALL, {FIRST: FIRST.replace(",", " DESC,")}),
    "events that are not marked": (
        two_relays,
        relaying.MOVE_EVENTS,
        {"processed_at = clock_timestamp()": "processed_at = NULL"},
    ),
    "relays side by side": (two_relays, relaying.MOVE_EVENTS, {RELAY: "true", "FOR UPDATE\n": "\n"}),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_statement_does_not_agree(
    machine: type[QueueMachine], impatient: type[QueueMachine], monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """The same history, with the statement as it is and with the wrong one."""
    history, statement, changes = WRONG[wrong]
    live(machine, history)
    plan = copy.copy(statement.plan)
    for right, instead in changes.items():
        assert right in plan.sql
        plan.sql = plan.sql.replace(right, instead)
    monkeypatch.setattr(statement, "plan", plan)

    with pytest.raises((AssertionError, asyncpg.PostgresError)):
        live(impatient, history)


def live(machine: type[QueueMachine], history: Callable[[Watched], None]) -> None:
    lived = machine()
    try:
        history(Watched(lived))
        lived.come_to_an_end()
    finally:
        lived.roll_back()
