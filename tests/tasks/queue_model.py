"""The queue as a person would explain it, without a database: what every transition does to one row, and to whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from uuid import UUID

Lease = tuple[UUID, int]
HOT = ("waiting", "pending", "running")


@dataclass
class Row:
    """One task; `run_at` is None while only the database knows it, `expired` says that its lease has run out."""

    id: UUID
    task_type: str
    priority: int
    max_retries: int
    status: str = "pending"
    due: bool = True
    run_at: datetime | None = None
    dedupe_key: str | None = None
    order_key: str | None = None
    position: int | None = None
    lease_seq: int = 0
    retry_count: int = 0
    crash_count: int = 0
    locked_by: str | None = None
    expired: bool = False

    @property
    def is_hot(self) -> bool:
        return self.status in HOT

    @property
    def place(self) -> tuple[datetime, UUID]:
        assert self.run_at is not None
        return (self.run_at, self.id)


@dataclass(frozen=True)
class Published:
    """An event that is committed; `position` is what the database gave it."""

    id: UUID
    name: str
    aggregate: UUID
    position: int


@dataclass
class Model:
    """Predicts each answer of the store; `held_back` are rows in somebody's open transaction, which nobody waits for.

    The ledger says how often each lease has ended its task, and `ended` how often each task has ended.
    """

    rows: dict[UUID, Row] = field(default_factory=dict)
    outbox: list[Published] = field(default_factory=list)
    held_back: set[UUID] = field(default_factory=set)
    ledger: dict[Lease, int] = field(default_factory=dict)
    ended: dict[UUID, int] = field(default_factory=dict)
    lives: dict[UUID, int] = field(default_factory=dict)

    def hot(self) -> list[Row]:
        return [row for row in self.rows.values() if row.is_hot]

    def running(self) -> list[Row]:
        return [row for row in self.rows.values() if row.status == "running"]

    def add(self, row: Row) -> None:
        assert row.id not in self.rows
        self.rows[row.id] = row
        self.lives[row.id] = 1

    def stands_for(self, dedupe_key: str | None) -> Row | None:
        """The task that is in the way of another one with this key."""
        return next((row for row in self.hot() if dedupe_key and row.dedupe_key == dedupe_key), None)

    def due(self, lanes: Iterable[tuple[str, int]]) -> list[Row]:
        known = set(lanes)
        return [
            row
            for row in self.rows.values()
            if row.status == "pending" and row.due and (row.task_type, row.priority) in known
            if row.id not in self.held_back
        ]

    def next_claim(self, lanes: Iterable[tuple[str, int]], limit: int, *, oldest_first: bool) -> list[Row]:
        found = sorted(self.due(lanes), key=lambda row: row.place)
        if not oldest_first:
            found.sort(key=lambda row: -row.priority)
        return found[:limit]

    def room(self, task_type: str, most: int) -> int:
        """How many more of a bounded type may run."""
        return max(0, most - sum(row.task_type == task_type and not row.expired for row in self.running()))

    def claim(self, ids: Iterable[UUID], worker: str) -> None:
        for id_ in ids:
            row = self.rows[id_]
            assert (row.status, row.due) == ("pending", True)
            assert not self._earlier(row), "claimed before one that comes first"
            row.status, row.locked_by, row.expired = "running", worker, False
            row.lease_seq += 1

    def _earlier(self, row: Row) -> list[Row]:
        """One that an operator retries has had its turn, and comes when no other of its order is at it."""
        queue = self.queues().get(row.order_key or "", [])
        return [each for each in queue if (each.position or 0) < (row.position or 0) and self.lives[each.id] == 1]

    def owned(self, leases: Iterable[Lease]) -> set[UUID]:
        """Of these, whose lease nobody has taken since; one that has only run out still counts."""
        return {
            id_
            for id_, seq in leases
            if self.rows[id_].status == "running" and self.rows[id_].lease_seq == seq and id_ not in self.held_back
        }

    def finish(self, leases: Iterable[Lease], status: str) -> set[UUID]:
        owned = self.owned(leases)
        for id_ in owned:
            row = self.rows[id_]
            row.status = status
            lease = (id_, row.lease_seq)
            self.ledger[lease] = self.ledger.get(lease, 0) + 1
            self._end(row)
        return owned

    def _end(self, row: Row) -> None:
        self.ended[row.id] = self.ended.get(row.id, 0) + 1

    def requeue(self, leases: Iterable[Lease], *, delay: float | None, failed: bool) -> set[UUID]:
        owned = self.owned(leases)
        for id_ in owned:
            row = self._back(self.rows[id_])
            row.retry_count += failed
            if delay is not None:
                row.run_at, row.due = None, delay == 0
        return owned

    def _back(self, row: Row) -> Row:
        row.status, row.locked_by, row.expired = "pending", None, False
        return row

    def renew(self, leases: Iterable[Lease]) -> set[UUID]:
        owned = self.owned(leases)
        for id_ in owned:
            self.rows[id_].expired = False
        return owned

    def disown(self, worker: str, known: Iterable[UUID]) -> set[UUID]:
        kept = set(known) | self.held_back
        lost = [row for row in self.running() if row.locked_by == worker and row.id not in kept]
        return {self._back(row).id for row in lost}

    def rescue(self, max_crashes: int) -> dict[UUID, bool]:
        """Each one that was taken back, and whether it is poison."""
        found = {}
        for row in self.running():
            if row.expired and row.id not in self.held_back:
                row.crash_count += 1
                found[row.id] = row.crash_count >= max_crashes
                self._back(row)
                if found[row.id]:
                    row.status = "dead"
                    self._end(row)
        return found

    def cancel(self, id_: UUID) -> str | None:
        """The key in which the next one may run now."""
        row = self.rows[id_]
        row.status, row.locked_by, row.expired = "cancelled", None, False
        self._end(row)
        return row.order_key

    def retry(self, id_: UUID) -> None:
        row = self._back(self.rows[id_])
        row.status = "waiting" if row.order_key else "pending"
        row.retry_count = row.crash_count = 0
        row.run_at, row.due = None, True
        self.lives[id_] += 1

    def queues(self) -> dict[str, list[Row]]:
        """What has an order, by key, in its order."""
        ordered = [row for row in self.hot() if row.order_key is not None]
        ordered.sort(key=lambda row: (row.order_key or "", row.position or 0))
        return {key or "": list(rows) for key, rows in groupby(ordered, key=lambda row: row.order_key)}

    def promote(self, keys: Iterable[str]) -> int:
        queues = self.queues()
        idle = [queues[key] for key in set(keys) & queues.keys() if all(row.status == "waiting" for row in queues[key])]
        waiting = [queue[0] for queue in idle]
        for head in waiting:
            head.status = "pending"
        return len(waiting)

    def check(self) -> None:
        """What holds at every moment, whatever has happened."""
        assert all(count == 1 for count in self.ledger.values())
        assert all(count <= self.lives[id_] for id_, count in self.ended.items())
        for queue in self.queues().values():
            assert sum(row.status != "waiting" for row in queue) <= 1, "two of one order at a time"
