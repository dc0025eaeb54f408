"""The registry against a simple model: whatever happens in whatever order, everybody is found, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import re
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from prometheus_client import CollectorRegistry

from app.core.metrics.sockets import SocketMetrics
from app.sockets.connection import Connection
from app.sockets.manager import SLICE, Manager
from tests.sockets.paper import PaperWire, paper_connection

USERS = [None, "ada", "bob"]
TOPICS = ["everyone", "user:ada", "orders:1", "orders:2"]


def new_manager(*, spread: float = 0.0, delay: float = 0.0) -> Manager:
    return Manager(SocketMetrics(CollectorRegistry()), reconnect_spread=spread, drain_delay=delay)


class Registry(RuleBasedStateMachine):
    """The model: a list of all there ever were, with what each listens to, and who of them is in."""

    def __init__(self) -> None:
        super().__init__()
        self.manager = new_manager()
        self.made: list[tuple[Connection, PaperWire, set[str]]] = []
        self.inside: list[int] = []

    @rule(user=st.sampled_from(USERS))
    def come(self, user: str | None) -> None:
        connection, wire = paper_connection(f"c{len(self.made)}", user=user)
        self.manager.add(connection)
        self.inside.append(len(self.made))
        self.made.append((connection, wire, set()))

    @rule(number=st.integers(0, 30))
    def go(self, number: int) -> None:
        for connection, _, topics in self.made[number : number + 1]:
            assert set(self.manager.remove(connection)) == topics
            if number in self.inside:
                self.inside.remove(number)
            topics.clear()

    @rule(number=st.integers(0, 30), topic=st.sampled_from(TOPICS))
    def listen(self, number: int, topic: str) -> None:
        for connection, _, topics in self.made[number : number + 1]:
            assert self.manager.subscribe(connection, topic) is (number in self.inside and topic not in topics)
            if number in self.inside:
                topics.add(topic)

    @rule(number=st.integers(0, 30), topic=st.sampled_from(TOPICS))
    def stop_listening(self, number: int, topic: str) -> None:
        for connection, _, topics in self.made[number : number + 1]:
            assert self.manager.unsubscribe(connection, topic) is (topic in topics)
            topics.discard(topic)

    @rule(number=st.integers(0, 30))
    def close(self, number: int) -> None:
        for connection, _, _ in self.made[number : number + 1]:
            connection.close(1000)

    @rule(topic=st.sampled_from(TOPICS))
    def push(self, topic: str) -> None:
        self.hears(self.listening(topic), asyncio.run(self.manager.deliver(topic, b"push")))

    @rule()
    def tell_all(self) -> None:
        self.hears({self.made[each][0] for each in self.inside}, asyncio.run(self.manager.broadcast(b"push")))

    def hears(self, expected: set[Connection], written: int) -> None:
        assert written == sum(connection.is_open for connection in expected)
        for connection, wire, _ in self.made:
            assert wire.frames == [b"push"] * (connection in expected and connection.is_open)
            wire.frames.clear()

    def listening(self, topic: str) -> set[Connection]:
        return {self.made[each][0] for each in self.inside if topic in self.made[each][2]}

    @invariant()
    def everybody_is_found_and_nobody_else(self) -> None:
        inside = [self.made[each][0] for each in self.inside]
        assert self.manager.everybody() == tuple(inside)
        assert self.manager.connection_count() == len(inside)
        assert [self.manager.get(connection.id) for connection, _, _ in self.made] == [
            connection if connection in inside else None for connection, _, _ in self.made
        ]
        for user in filter(None, USERS):
            assert set(self.manager.get_by_user(user)) == {each for each in inside if each.user_id == user}
        for topic in TOPICS:
            assert set(self.manager.listeners(topic)) == self.listening(topic)
        assert set(self.manager.topics()) == {topic for topic in TOPICS if self.listening(topic)}
        assert all(connection.topics == topics for connection, _, topics in self.made)

    def teardown(self) -> None:
        for connection, _, _ in self.made:
            self.manager.remove(connection)
        assert not any((self.manager._by_id, self.manager._by_user, self.manager._by_topic))


TestRegistry = Registry.TestCase


def entered(manager: Manager, count: int, topic: str = "a") -> Iterator[tuple[Connection, PaperWire]]:
    for number in range(count):
        connection, wire = paper_connection(f"c{number}", user=f"user-{number}")
        manager.add(connection)
        manager.subscribe(connection, topic)
        yield connection, wire


def test_an_id_is_taken_once() -> None:
    manager = new_manager()
    manager.add(paper_connection("one")[0])

    with pytest.raises(ValueError, match="of this id"):
        manager.add(paper_connection("one")[0])


async def test_a_large_delivery_lets_others_have_their_turn_and_keeps_its_order() -> None:
    manager, turns = new_manager(), 0
    wires = [wire for _, wire in entered(manager, 4 * SLICE)]
    busy = asyncio.create_task(manager.deliver("a", b"first"))
    late = asyncio.create_task(manager.deliver("a", b"second"))

    while not busy.done():
        turns += 1
        await asyncio.sleep(0)
    await late

    assert turns >= 4
    assert all(wire.frames == [b"first", b"second"] for wire in wires)


async def test_whoever_leaves_during_a_delivery_is_passed_over() -> None:
    manager = new_manager()
    connections, wires = zip(*entered(manager, 2 * SLICE + 10), strict=True)
    delivering = asyncio.create_task(manager.deliver("a", b"push"))
    await asyncio.sleep(0)

    waiting = [connection for connection, wire in zip(connections, wires, strict=True) if not wire.frames]
    gone, deaf, *_ = waiting
    manager.remove(gone)
    manager.unsubscribe(deaf, "a")
    written = await delivering

    silent = {connection for connection, wire in zip(connections, wires, strict=True) if not wire.frames}
    assert len(waiting) == len(connections) - SLICE
    assert silent == {gone, deaf}
    assert written == len(connections) - 2


async def test_the_same_bytes_are_written_to_all() -> None:
    manager, frame = new_manager(), bytes(bytearray(b"push"))
    wires = [wire for _, wire in entered(manager, 3)]

    await manager.deliver("a", frame)

    assert all(wire.frames[0] is frame for wire in wires)


def test_everybody_is_told_to_come_back_at_a_time_of_their_own() -> None:
    manager = new_manager(spread=5.0)
    wires = [wire for _, wire in entered(manager, 200)]

    assert manager.shutdown_all() == 200
    assert manager.shutdown_all() == 0

    advice = [float(wire.reason.removeprefix("reconnect_after=")) for wire in wires]
    assert {wire.close_code for wire in wires} == {1012}
    assert all(re.fullmatch(r"reconnect_after=\d\.\d\d", wire.reason) for wire in wires)
    assert 0 <= min(advice) < 1
    assert 4 < max(advice) <= 5
    assert len(set(advice)) > 100


def test_whoever_comes_while_the_process_stops_is_sent_away() -> None:
    manager = new_manager()
    manager.shutdown_all()
    connection, wire = paper_connection()

    manager.add(connection)

    assert wire.close_code == 1012


def test_a_connection_costs_less_than_two_kibibytes() -> None:
    manager, metrics = new_manager(), SocketMetrics(CollectorRegistry())
    wires = 1000

    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(wires):
        connection, _ = paper_connection(f"c{number}", user=f"user-{number}", metrics=metrics)
        manager.add(connection)
        for topic in ("everyone", f"user:user-{number}"):
            manager.subscribe(connection, topic)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert used / wires < 2048


def test_nobody_is_to_return_while_a_balancer_may_still_send_them_here() -> None:
    manager = new_manager(spread=2.0, delay=3.0)
    wires = [wire for _, wire in entered(manager, 100)]

    manager.shutdown_all()

    advice = [float(wire.reason.removeprefix("reconnect_after=")) for wire in wires]
    assert 3.0 <= min(advice) < max(advice) <= 5.0
