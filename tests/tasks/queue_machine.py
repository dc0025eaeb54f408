"""Drives the real statements in random order, and holds each answer and each row against the model."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.core.database import Database
from app.core.queue import Event, Priority, Queue, Task, Waker
from app.tasks import operations, store
from app.tasks.store import Claimed, Ending, Lane, Requeueing, Subscription
from tests.harness.background import BackgroundLoop
from tests.harness.waiting import eventually
from tests.tasks.held import Held
from tests.tasks.queue_model import Lease, Model, Published, Row

T = TypeVar("T")


@dataclass(frozen=True)
class Nothing:
    """No payload."""


FREE, OTHER = Task("model.free", Nothing, retries=2), Task("model.other", Nothing, retries=0)
BOUNDED = Task("model.bounded", Nothing, concurrency=2)
MOVED, CLOSED = (Event(name, Nothing, aggregate="thing") for name in ("model.moved", "model.closed"))
HEARS, HEARS_TOO, HEARS_LAST = (
    Subscription(MOVED.name, "model.hears", priority=0, max_retries=3),
    Subscription(MOVED.name, "model.hears_too", priority=1, max_retries=0),
    Subscription(CLOSED.name, "model.hears_last", priority=-1, max_retries=3),
)
SUBSCRIPTIONS = (HEARS, HEARS_TOO, HEARS_LAST)
WORKERS, AGGREGATES = ("a", "b", "c"), (UUID(int=1), UUID(int=2))
MOST, MAX_CRASHES, LONG = 2, 3, 3600.0
UNBOUND = [(name, p) for name in (FREE.name, OTHER.name, *(each.name for each in SUBSCRIPTIONS)) for p in (1, 0, -1)]
BOUND = [(BOUNDED.name, p) for p in (1, 0, -1)]

HOT_ROWS = """
SELECT id, status, lease_seq, retry_count, crash_count, locked_by, dedupe_key, order_key, order_position, run_at,
       run_at <= clock_timestamp() AS due, coalesce(locked_until < now(), false) AS expired FROM tasks
"""
FINISHED_ROWS = """
SELECT id, status, lease_seq, retry_count, crash_count, dedupe_key, order_key, order_position FROM finished_tasks
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
EMPTY = "TRUNCATE tasks, finished_tasks, outbox, processed_events"

worker_names = st.sampled_from(WORKERS)
picks = st.integers(0, 999)
counts = st.integers(1, 3)
limits = st.sampled_from([1, 2, 100])
usually = st.sampled_from([True, True, True, False])


class QueueMachine(RuleBasedStateMachine):
    """Each worker believes in `leases` of its own, and in those that it has lost it believes too."""

    background: BackgroundLoop
    db: Database

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.leases: dict[str, dict[UUID, int]] = {name: {} for name in WORKERS}
        self.issued: list[Lease] = []
        self.opened: list[Held[Any]] = []
        self.held: dict[str, Held[Any]] = {}
        self.held_rows: dict[str, set[UUID]] = {}
        self.publishing: UUID | None = None
        self.queue = Queue(self.db, Waker(self.db))
        self.do(self.db.execute(EMPTY))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.background.call(work)

    def _open(self, work: Callable[[], Awaitable[T]]) -> Held[T]:
        held = Held(self.background, self.db, work)
        self.opened.append(held)
        return held

    # Asking for work

    @rule(
        task=st.sampled_from([FREE, OTHER, BOUNDED]),
        priority=st.sampled_from(Priority),
        delay=st.sampled_from([0.0, 0.0, LONG]),
        dedupe_key=st.sampled_from([None, None, "x", "y"]),
        commit=st.sampled_from([True, True, True, False]),
    )
    def enqueue(
        self, task: Task[Nothing], priority: Priority, delay: float, dedupe_key: str | None, *, commit: bool
    ) -> None:
        twin = self.model.stands_for(dedupe_key)
        if twin is not None and twin.id in self.model.held_back:
            return  # it waits for that transaction

        async def ask() -> UUID | None:
            return await self.queue.enqueue(task, Nothing(), delay=delay, dedupe_key=dedupe_key, priority=priority)

        held = self._open(ask)
        held.end(commit=commit)
        assert (held.answer is None) == (twin is not None)
        if held.answer is not None and commit:
            row = Row(held.answer, task.name, int(priority), task.retries, due=delay == 0, dedupe_key=dedupe_key)
            self.model.add(row)

    @rule(event=st.sampled_from([MOVED, CLOSED]), aggregate=st.sampled_from(AGGREGATES))
    def publish(self, event: Event[Nothing], aggregate: UUID) -> None:
        if aggregate == self.publishing:
            return  # it waits for that transaction
        held = self._publishing(event, aggregate)
        held.end(commit=True)
        self._see_event(held.answer, event, aggregate)

    def _publishing(self, event: Event[Nothing], aggregate: UUID) -> Held[UUID]:
        async def tell() -> UUID:
            return await self.queue.publish(event, aggregate, Nothing())

        return self._open(tell)

    def _see_event(self, event_id: UUID, event: Event[Nothing], aggregate: UUID) -> None:
        found = self.do(self.db.fetch_existing("SELECT position FROM outbox WHERE id = :id", {"id": event_id}))
        self.model.outbox.append(Published(event_id, event.name, aggregate, found["position"]))

    @precondition(lambda self: self.publishing is None)
    @rule(event=st.sampled_from([MOVED, CLOSED]), aggregate=st.sampled_from(AGGREGATES))
    def begin_to_publish(self, event: Event[Nothing], aggregate: UUID) -> None:
        """A long transaction: its position is taken, and its commit comes after those of later positions."""
        self.publishing, self.published = aggregate, event
        self.held["publisher"] = self._publishing(event, aggregate)

    @precondition(lambda self: self.publishing is not None)
    @rule(commit=st.booleans())
    def end_publishing(self, *, commit: bool) -> None:
        held = self.held.pop("publisher")
        aggregate, self.publishing = self.publishing, None
        held.end(commit=commit)
        if commit and aggregate is not None:
            self._see_event(held.answer, self.published, aggregate)

    @rule(task=st.sampled_from([FREE, OTHER, BOUNDED]), count=counts, commit=st.sampled_from([True, True, False]))
    def enqueue_many(self, task: Task[Nothing], count: int, *, commit: bool) -> None:
        async def ask() -> list[UUID]:
            return await self.queue.enqueue_many(task, [Nothing()] * count)

        held = self._open(ask)
        held.end(commit=commit)
        for id_ in held.answer if commit else ():
            self.model.add(Row(id_, task.name, int(task.priority), task.retries))

    # Moving events

    @precondition(lambda self: self.model.outbox)
    @rule(limit=limits, knows_all=st.booleans(), together=st.booleans(), survives=usually)
    def move_events(self, limit: int, *, knows_all: bool, together: bool, survives: bool) -> None:
        """Of two at the same time, one does it all."""
        known = [MOVED.name, CLOSED.name] if knows_all else [MOVED.name]
        relays, limit = (2, 100) if together else (1, limit)

        async def move() -> Any:
            return await store.move_events(self.db, SUBSCRIPTIONS, known=known, limit=limit)

        answers = [answer for answer in self.do(self._at_once(move, relays)) if answer is not None]
        waiting = sorted((e for e in self.model.outbox if e.name in known), key=lambda event: event.position)
        moved = sum(answer.events for answer in answers)
        assert moved == min(limit, len(waiting))
        keys = self._see_moved(waiting[:moved])
        assert {key for answer in answers for key in answer.order_keys} == keys
        self._promote(keys, survives=survives)

    async def _at_once(self, move: Callable[[], Awaitable[Any]], relays: int) -> list[Any]:
        """Several are under way before one can go on: each has begun, and those that have not ended wait for a row."""
        is_held = asyncio.Event()

        async def begin() -> Any:
            await is_held.wait()
            return await move()

        moving = [asyncio.create_task(begin()) for _ in range(relays)]

        async def all_have_begun() -> bool:
            async with self.db.detached():  # one transaction is shown the same sessions all along
                waiting = await self.db.fetch_val(WAITING)
            return bool(waiting + sum(each.done() for each in moving) == relays)

        async with self.db.transaction():
            if relays > 1:
                await self.db.fetch_all("SELECT id FROM outbox FOR UPDATE")
            is_held.set()
            if relays > 1:
                await eventually(all_have_begun, within=30)
        return await asyncio.gather(*moving)

    def _see_moved(self, events: Sequence[Published]) -> set[str]:
        """Each subscriber has one task for each, and there are no others."""
        wanted = {
            (f"{each.name}:thing:{event.aggregate}", event.position): each
            for event in events
            for each in SUBSCRIPTIONS
            if each.event_type == event.name
        }
        found = self.do(self.db.fetch_all("SELECT id, order_key, order_position FROM tasks"))
        unseen = [row for row in found if row["id"] not in self.model.rows]
        new = {(row["order_key"], row["order_position"]): row["id"] for row in unseen}
        assert len(unseen) == len(new)
        assert new.keys() == wanted.keys()
        for (key, position), id_ in sorted(new.items()):
            each = wanted[key, position]
            row = Row(id_, each.name, each.priority, each.max_retries, order_key=key, position=position)
            row.status = "waiting"
            self.model.add(row)
        self.model.outbox = [event for event in self.model.outbox if event not in events]
        return {key for key, _ in wanted}

    def _promote(self, keys: Iterable[str | None], *, survives: bool = True) -> None:
        """After a commit; a process that is killed between the two leaves it to the sweep."""
        known = sorted({key for key in keys if key})
        if survives:
            assert self.do(store.promote(self.db, known)) == self.model.promote(known)

    @precondition(lambda self: self.model.queues())
    @rule()
    def promote_all(self) -> None:
        assert self.do(store.promote_all(self.db)) == self.model.promote(self.model.queues())

    # Claiming

    def _claiming(self, worker: str, limit: int, *, oldest_first: bool = False) -> Coroutine[Any, Any, list[Claimed]]:
        lanes = [Lane(name, priority, room=100) for name, priority in UNBOUND]
        return store.claim(self.db, lanes, worker=worker, lease=LONG, limit=limit, oldest_first=oldest_first)

    def _claiming_bounded(self, worker: str, *, oldest_first: bool = False) -> Coroutine[Any, Any, list[Claimed]]:
        lanes = [Lane(name, priority, room=100, most=MOST) for name, priority in BOUND]
        return store.claim(self.db, lanes, worker=worker, lease=LONG, limit=100, oldest_first=oldest_first)

    def _see_claimed(self, worker: str, claimed: Sequence[Claimed], *, heard: bool = True) -> None:
        self.model.claim((each.id for each in claimed), worker)
        found = {each.id: each for each in claimed}
        for row in [row for row in self.model.rows.values() if row.id in found]:
            each = found[row.id]
            counts = (row.lease_seq, row.retry_count, row.crash_count)
            assert (each.lease_seq, each.retry_count, each.crash_count) == counts
            assert (each.task_type, each.priority, each.order_key) == (row.task_type, row.priority, row.order_key)
            assert (row.id, row.lease_seq) not in self.issued
            self.issued.append((row.id, row.lease_seq))
            if heard:
                self.leases[worker][row.id] = row.lease_seq

    @precondition(lambda self: self.model.due(UNBOUND))
    @rule(worker=worker_names, limit=limits, oldest_first=st.booleans(), heard=st.sampled_from([True, True, False]))
    def claim(self, worker: str, limit: int, *, oldest_first: bool, heard: bool) -> None:
        expected = self.model.next_claim(UNBOUND, limit, oldest_first=oldest_first)

        claimed = self.do(self._claiming(worker, limit, oldest_first=oldest_first))

        assert {each.id for each in claimed} == {row.id for row in expected}
        self._see_claimed(worker, claimed, heard=heard)

    @precondition(lambda self: self.model.due(BOUND))
    @rule(worker=worker_names, oldest_first=st.booleans())
    def claim_bounded(self, worker: str, *, oldest_first: bool) -> None:
        due = self.model.next_claim(BOUND, 100, oldest_first=oldest_first)
        expected = due[: self.model.room(BOUNDED.name, MOST)]

        claimed = self.do(self._claiming_bounded(worker, oldest_first=oldest_first))

        assert {each.id for each in claimed} == {row.id for row in expected}
        self._see_claimed(worker, claimed)

    @precondition(lambda self: self.model.due([*UNBOUND, *BOUND]))
    @rule(bounded=st.booleans(), finish=st.booleans())
    def claim_together(self, *, bounded: bool, finish: bool) -> None:
        """Who gets which is up to chance, so all is ended or given back at once: a history has to be repeatable."""
        expected = len(self.model.due(UNBOUND))
        if bounded:
            expected = min(len(self.model.due(BOUND)), self.model.room(BOUNDED.name, MOST))

        async def claim() -> list[list[Claimed]]:
            claims = (self._claiming_bounded(name) if bounded else self._claiming(name, 100) for name in WORKERS)
            return await asyncio.gather(*claims)

        answers = self.do(claim())
        assert sum(map(len, answers)) == len({each.id for answer in answers for each in answer}) == expected
        for worker, answer in zip(WORKERS, answers, strict=True):
            self._see_claimed(worker, answer, heard=False)
        leases = [(each.id, each.lease_seq) for answer in answers for each in answer]
        if finish:
            self._finish(leases, "done")
        else:
            self._requeue(leases, None, failed=False)

    # Ends of runs

    def _some(self, worker: str, pick: int, count: int) -> list[Lease]:
        """What this worker believes to hold, apart from what it is about to end."""
        held = [lease for lease in self.leases[worker].items() if lease[0] not in self.model.held_back]
        at = pick % len(held) if held else 0
        return (held[at:] + held[:at])[:count]

    def _forget(self, worker: str, leases: Sequence[Lease]) -> None:
        for id_, seq in leases:
            if self.leases[worker].get(id_) == seq:
                del self.leases[worker][id_]

    def _finish(self, leases: Sequence[Lease], status: str, *, survives: bool = True) -> None:
        keys = {self.model.rows[id_].order_key for id_, _ in leases}
        settled = self.do(store.finish(self.db, [Ending(id_, seq, status) for id_, seq in leases]))
        owned = self.model.finish(leases, status)
        assert sorted(each.id for each in settled) == sorted(owned)
        assert {each.order_key for each in settled} <= keys
        self._promote((each.order_key for each in settled), survives=survives)

    def _requeue(self, leases: Sequence[Lease], delay: float | None, *, failed: bool) -> None:
        runs = [Requeueing(id_, seq, delay, failed) for id_, seq in leases]
        settled = self.do(store.requeue(self.db, runs))
        owned = self.model.requeue(leases, delay=delay, failed=failed)
        assert sorted(each.id for each in settled) == sorted(owned)

    @precondition(lambda self: any(self.leases.values()))
    @rule(worker=worker_names, pick=picks, count=counts, status=st.sampled_from(["done", "dead"]), survives=usually)
    def finish(self, worker: str, pick: int, count: int, status: str, *, survives: bool) -> None:
        leases = self._some(worker, pick, count)
        self._finish(leases, status, survives=survives)
        self._forget(worker, leases)

    @precondition(lambda self: any(self.leases.values()))
    @rule(worker=worker_names, pick=picks, count=counts, delay=st.sampled_from([0.0, LONG]))
    def fail(self, worker: str, pick: int, count: int, delay: float) -> None:
        """As the runner does it: again after a while, or dead after the last retry."""
        leases = self._some(worker, pick, count)
        rows = self.model.rows
        last = [lease for lease in leases if rows[lease[0]].retry_count >= rows[lease[0]].max_retries]
        self._finish(last, "dead")
        self._requeue([lease for lease in leases if lease not in last], delay, failed=True)
        self._forget(worker, leases)

    @precondition(lambda self: any(self.leases.values()))
    @rule(worker=worker_names, pick=picks, count=counts, delay=st.sampled_from([None, 0.0, LONG]))
    def give_back(self, worker: str, pick: int, count: int, delay: float | None) -> None:
        """A release, or RetryLater."""
        leases = self._some(worker, pick, count)
        self._requeue(leases, delay, failed=False)
        self._forget(worker, leases)

    def _renew(self, leases: Sequence[Lease]) -> None:
        assert self.do(store.renew(self.db, leases, lease=LONG)) == self.model.renew(leases)

    @precondition(lambda self: any(self.leases.values()))
    @rule(worker=worker_names)
    def renew(self, worker: str) -> None:
        self._renew(self._some(worker, 0, 100))

    def _zombies(self) -> list[Lease]:
        """Leases of tasks that were claimed again since, or ended: their workers do not know."""
        rows = self.model.rows
        lost = [lease for lease in self.issued if rows[lease[0]].lease_seq != lease[1] or not rows[lease[0]].is_hot]
        again = [lease for lease in lost if rows[lease[0]].status == "running"]
        return [lease for lease in again or lost if lease[0] not in self.model.held_back]

    @precondition(lambda self: self._zombies())
    @rule(pick=picks, action=st.sampled_from(["finish", "fail", "release", "renew"]))
    def act_as_a_zombie(self, pick: int, action: str) -> None:
        zombies = self._zombies()
        lease = zombies[pick % len(zombies)]
        assert not self.model.owned([lease])
        if action == "finish":
            self._finish([lease], "done")
        elif action == "renew":
            self._renew([lease])
        else:
            self._requeue([lease], 0.0 if action == "fail" else None, failed=action == "fail")

    # What goes wrong

    def _end_leases(self, ids: Sequence[UUID]) -> None:
        sql = "UPDATE tasks SET locked_until = now() - interval '1 second' WHERE status = 'running' AND id = ANY(:ids)"
        self.do(self.db.execute(sql, {"ids": list(ids)}))
        for row in self.model.running():
            row.expired = row.expired or row.id in ids

    @precondition(lambda self: self.model.running())
    @rule(worker=worker_names)
    def crash(self, worker: str) -> None:
        if worker in self.held:
            self.end_held(worker, commit=False)
        self._end_leases([row.id for row in self.model.running() if row.locked_by == worker])
        self.leases[worker] = {}

    @precondition(lambda self: any(self.leases.values()))
    @rule(worker=worker_names, pick=picks)
    def stall(self, worker: str, pick: int) -> None:
        """A lease runs out although its worker lives."""
        self._end_leases([id_ for id_, _ in self._some(worker, pick, 2)])

    @precondition(lambda self: any(row.expired for row in self.model.running()))
    @rule(survives=usually)
    def rescue(self, *, survives: bool) -> None:
        rescued = self.do(store.rescue(self.db, max_crashes=MAX_CRASHES))
        expected = self.model.rescue(MAX_CRASHES)
        assert {each.id: each.poison for each in rescued} == expected
        assert len(rescued) == len(expected)
        self._promote((each.order_key for each in rescued if each.poison), survives=survives)

    # Operators

    @precondition(lambda self: self.model.hot())
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        row = self.model.hot()[pick % len(self.model.hot())]
        if row.id in self.model.held_back:
            return  # it waits for that transaction
        outcome = self.do(operations.cancel_tasks(self.db, [row.id]))
        assert (outcome.done, outcome.refused) == ([row.id], {})
        key = self.model.cancel(row.id)
        self.model.promote([key] if key else [])

    @precondition(lambda self: not all(row.is_hot for row in self.model.rows.values()))
    @rule(pick=picks)
    def retry(self, pick: int) -> None:
        ended = [row for row in self.model.rows.values() if not row.is_hot]
        row = ended[pick % len(ended)]
        twin = self.model.stands_for(row.dedupe_key)
        if twin is not None and twin.id in self.model.held_back:
            return  # it waits for that transaction
        outcome = self.do(operations.retry_tasks(self.db, [row.id]))
        may = row.status != "done" and twin is None
        assert (outcome.done == [row.id], set(outcome.refused) == {row.id}) == (may, not may)
        if may:
            self.model.retry(row.id)
            self.model.promote([row.order_key] if row.order_key else [])

    @rule(worker=worker_names)
    def disown(self, worker: str) -> None:
        if worker in self.held:
            return  # the runner claims nothing and ends nothing meanwhile
        known = list(self.leases[worker])
        assert set(self.do(store.disown(self.db, worker=worker, known=known))) == self.model.disown(worker, known)

    @precondition(lambda self: not all(row.due for row in self.model.hot()))
    @rule(pick=picks)
    def time_passes(self, pick: int) -> None:
        later = [row for row in self.model.hot() if not row.due]
        if later:
            row = later[pick % len(later)]
            self.do(self.db.execute("UPDATE tasks SET run_at = now() WHERE id = :id", {"id": row.id}))
            row.run_at, row.due = None, True

    # Transactions that stay open: the others are not to wait for them

    @precondition(lambda self: len(self.held) < 2 and self.model.due(UNBOUND))
    @rule(worker=worker_names, limit=limits)
    def begin_to_claim(self, worker: str, limit: int) -> None:
        if worker in self.held:
            return
        expected = self.model.next_claim(UNBOUND, limit, oldest_first=False)
        held = self._open(lambda: self._claiming(worker, limit))
        assert {each.id for each in held.answer} == {row.id for row in expected}
        # It locks what it has looked at, in each lane as many as it may take in all.
        lanes = [self.model.next_claim([lane], limit, oldest_first=True) for lane in UNBOUND]
        self._hold(worker, held, {row.id for lane in lanes for row in lane})

    @precondition(lambda self: len(self.held) < 2 and any(self.leases.values()))
    @rule(worker=worker_names, pick=picks)
    def begin_to_finish(self, worker: str, pick: int) -> None:
        """`work.finishing()`: effects and end in one transaction."""
        leases = self._some(worker, pick, 1)
        if worker in self.held or not leases:
            return
        [(id_, seq)] = leases
        owned = self.model.owned(leases)
        held = self._open(lambda: store.finish(self.db, [Ending(id_, seq)]))
        assert {each.id for each in held.answer} == owned
        self._hold(worker, held, owned)

    def _hold(self, worker: str, held: Held[Any], ids: set[UUID]) -> None:
        self.held[worker], self.held_rows[worker] = held, ids
        self.model.held_back |= ids

    @precondition(lambda self: self.held.keys() & set(WORKERS))
    @rule(pick=picks, commit=st.booleans())
    def end_one(self, pick: int, *, commit: bool) -> None:
        workers = sorted(self.held.keys() & set(WORKERS))
        self.end_held(workers[pick % len(workers)], commit=commit)

    def end_held(self, worker: str, *, commit: bool) -> None:
        held, ids = self.held.pop(worker), self.held_rows.pop(worker)
        held.end(commit=commit)
        self.model.held_back -= ids
        if not commit:
            return
        if held.answer and isinstance(held.answer[0], Claimed):
            self._see_claimed(worker, held.answer)
        else:
            leases = [(id_, self.model.rows[id_].lease_seq) for id_ in ids]
            self.model.finish(leases, "done")
            self._forget(worker, leases)
            self._promote(each.order_key for each in held.answer)

    # What holds after every step

    @invariant()
    def the_database_agrees(self) -> None:
        hot = {row["id"]: row for row in self.do(self.db.fetch_all(HOT_ROWS))}
        cold = {row["id"]: row for row in self.do(self.db.fetch_all(FINISHED_ROWS))}
        assert not hot.keys() & cold.keys()
        assert hot.keys() | cold.keys() == self.model.rows.keys()
        for row in self.model.rows.values():
            self._compare(row, (hot if row.is_hot else cold)[row.id])
        keys = [row["dedupe_key"] for row in hot.values() if row["dedupe_key"]]
        assert len(keys) == len(set(keys))
        self.model.check()

    def _compare(self, row: Row, stored: Any) -> None:
        assert stored["status"] == row.status
        counts = (row.lease_seq, row.retry_count, row.crash_count)
        assert (stored["lease_seq"], stored["retry_count"], stored["crash_count"]) == counts
        asked = (row.dedupe_key, row.order_key, row.position)
        assert (stored["dedupe_key"], stored["order_key"], stored["order_position"]) == asked
        if row.is_hot:
            assert (stored["locked_by"], stored["expired"], stored["due"]) == (row.locked_by, row.expired, row.due)
            row.run_at = row.run_at or stored["run_at"]
            assert stored["run_at"] == row.run_at

    def teardown(self) -> None:
        """Whatever has happened, what is left comes to its end: nothing is lost, and nothing stuck."""
        try:
            if sys.exc_info()[0] is None:
                self.come_to_an_end()
        finally:
            self.roll_back()

    def roll_back(self) -> None:
        """What a failed history has left open."""
        for held in self.opened:
            if held.is_open:
                held.end(commit=False)

    def come_to_an_end(self) -> None:
        for worker in sorted(self.held.keys() & set(WORKERS)):
            self.end_held(worker, commit=False)
        if self.publishing:
            self.end_publishing(commit=True)
        self.move_events(100, knows_all=True, together=False, survives=True)
        for worker in WORKERS:
            self.crash(worker)
        self.rescue(survives=True)
        while self.model.hot():
            for _ in self.model.hot():
                self.time_passes(0)
            self.promote_all()
            self.the_database_agrees()
            before = len(self.model.hot())
            self.claim("a", 100, oldest_first=False, heard=True)
            self.claim_bounded("a", oldest_first=False)
            for worker in WORKERS:
                self.finish(worker, 0, 100, "done", survives=False)
            assert len(self.model.hot()) < before
        self.the_database_agrees()
