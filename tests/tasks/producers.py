"""Twelve producers of events at once: short and long transactions, some of which are rolled back.

They keep a ledger of their own, so that nothing of what is tested says what is right.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import groupby
from random import Random
from uuid import UUID

from app.core.database import Database
from app.core.ids import new_id
from app.core.queue import Queue
from tests.harness.waiting import eventually
from tests.tasks.events import MOVED, Moved

PRODUCERS, LONG, AGGREGATES = 12, 3, 40
WITHIN = 300.0  # seconds; a loaded machine, not slow producers

TURNS = "CREATE TABLE turns (aggregate_id uuid PRIMARY KEY, turn bigint NOT NULL)"
INSERT_TURN = "INSERT INTO turns VALUES (:aggregate_id, 0)"
# Locked until the commit, and the last thing before it: the turns of an aggregate are the order of its commits.
TAKE_TURN = "UPDATE turns SET turn = turn + 1 WHERE aggregate_id = :aggregate_id RETURNING turn"

Passed = Callable[[UUID], Awaitable[bool]]


class Undo(Exception):
    """This transaction is to be rolled back."""


@dataclass
class Ledger:
    """What was committed: for each event its aggregate, the aggregate's turn, and its place among those of the turn."""

    committed: dict[UUID, tuple[UUID, int, int]] = field(default_factory=dict)
    rolled_back: set[UUID] = field(default_factory=set)
    long: int = 0

    def in_order(self) -> dict[UUID, list[UUID]]:
        """The events of each aggregate, as they were committed."""
        found = sorted((place, event) for event, place in self.committed.items())
        return {key: [event for _, event in those] for key, those in groupby(found, lambda one: one[0][0])}


@dataclass
class Producers:
    """`allowed` says how many events may have been committed so far, so that a test can have them come in parts.

    A long transaction stays open until `passed` says, of its event, that the relay has dealt with later ones.
    """

    db: Database
    queue: Queue
    passed: Passed
    count: int
    allowed: int
    ledger: Ledger = field(default_factory=Ledger)
    aggregates: list[UUID] = field(default_factory=list)

    async def run(self) -> None:
        """Until `count` events are committed, a few more at most."""
        await self.db.execute(TURNS)
        self.aggregates = sorted(new_id() for _ in range(AGGREGATES))
        for each in self.aggregates:
            await self.db.execute(INSERT_TURN, {"aggregate_id": each})
        async with asyncio.TaskGroup() as group:
            for number in range(PRODUCERS):
                group.create_task(self._produce(number))

    async def _produce(self, number: int) -> None:
        random = Random(number)  # noqa: S311  (no secret)
        while not self._is_over:
            await eventually(lambda: not self._waits or self._is_over, within=WITHIN)
            await self._transact(random, number)

    @property
    def _waits(self) -> bool:
        return len(self.ledger.committed) >= self.allowed

    @property
    def _is_over(self) -> bool:
        return len(self.ledger.committed) >= self.count

    def _choose(self, random: Random, number: int) -> list[UUID]:
        """In one order for all of them, or they would wait for each other; half keep away from the long ones."""
        if number < LONG:
            return [self.aggregates[number]]
        among = self.aggregates if number < PRODUCERS // 2 else self.aggregates[LONG:]
        return sorted(random.choices(among, k=random.randint(1, 3)))

    async def _transact(self, random: Random, number: int) -> None:
        chosen = self._choose(random, number)
        ids: list[UUID] = []
        try:
            async with self.db.transaction():
                ids += [await self.queue.publish(MOVED, aggregate, Moved(number)) for aggregate in chosen]
                if number < LONG:
                    await self._stay_open(ids[0])
                places = [await self._place(aggregate, place) for place, aggregate in enumerate(chosen)]
                if random.random() < 0.2:
                    raise Undo
        except Undo:
            self.ledger.rolled_back.update(ids)
        else:
            self.ledger.committed.update(zip(ids, places, strict=True))

    async def _stay_open(self, event_id: UUID) -> None:
        """Until later events have gone by, unless no more may come."""

        async def is_late() -> bool:
            late = await self.passed(event_id)
            self.ledger.long += late
            return late or self._waits or self._is_over

        await eventually(is_late, within=WITHIN)

    async def _place(self, aggregate: UUID, place: int) -> tuple[UUID, int, int]:
        turn = await self.db.fetch_val(TAKE_TURN, {"aggregate_id": aggregate})
        return aggregate, int(str(turn)), place


def check_effects(ledger: Ledger, effects: list[tuple[str, UUID, UUID]], handlers: tuple[str, ...]) -> None:
    """`effects` are handler, aggregate and event, in the order of time."""
    times = Counter((handler, event) for handler, _, event in effects)
    due = {(handler, event) for handler in handlers for event in ledger.committed}
    assert {"lost": len(due - times.keys()), "made up": len(times.keys() - due)} == {"lost": 0, "made up": 0}
    assert max(times.values()) == 1
    assert not ledger.rolled_back & {event for _, event in times}
    for handler in handlers:
        for aggregate, events in ledger.in_order().items():
            told = [event for name, of, event in effects if (name, of) == (handler, aggregate)]
            assert told == events, f"{handler} was told of another order than that of the commits"
