"""Who is pinged, who is given up and when: by a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from app.core.settings.sections.websocket import WebSocket
from app.sockets.heartbeat import SLICE, Heartbeat
from app.sockets.wire import CloseCode
from tests.harness.clock import FakeClock
from tests.harness.waiting import eventually

SETTINGS = WebSocket(heartbeat_interval=10, heartbeat_timeout=25, send_timeout=5)


class MemoryWire:
    """A wire whose peer does what the test says; `at` is when which of its methods were called."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.heard = clock.monotonic()
        self.received = self.sent = self.waiting = self.taken = 0
        self.close_code: int | None = None
        self.is_open = True
        self.pinged: list[float] = []
        self.aborted: list[float] = []

    def write(self, frame: bytes) -> None:
        self.waiting += len(frame)

    def ping(self) -> None:
        self.pinged.append(self.clock.monotonic())

    def close(self, code: int, reason: str = "") -> None:
        self.close_code, self.reason, self.is_open = code, reason, False

    def abort(self, code: int = CloseCode.ABNORMAL) -> None:
        self.close_code, self.is_open = code, False
        self.aborted.append(self.clock.monotonic())

    def on_gone(self, call: Callable[[], object]) -> None:
        raise AssertionError(f"the heartbeat looks; it does not ask to call {call!r}")

    def hear(self) -> None:
        self.heard = self.clock.monotonic()

    def take(self, size: int) -> None:
        self.waiting -= size
        self.taken += size


class Dropped(Counter[str]):
    def dropped(self, reason: str) -> None:
        self[reason] += 1


class Room:
    """A heartbeat over wires in memory, whose time passes in its own steps."""

    def __init__(self, clock: FakeClock, settings: WebSocket = SETTINGS) -> None:
        self.clock = clock
        self.wires: set[MemoryWire] = set()
        self.counted = Dropped()
        self.heartbeat = Heartbeat(settings, self.wires, self.counted, clock)

    def enter(self) -> MemoryWire:
        wire = MemoryWire(self.clock)
        self.wires.add(wire)
        return wire

    async def live(self, seconds: float, each_step: Callable[[], object] = lambda: None) -> None:
        until = self.clock.monotonic() + seconds
        while self.clock.monotonic() < until:
            self.clock.advance(self.heartbeat.tick)
            each_step()
            await self.heartbeat.look()

    async def freeze(self, seconds: float) -> None:
        """The clock goes on, and nothing of ours runs; then one look."""
        self.clock.advance(seconds)
        await self.heartbeat.look()


@pytest.fixture
def room(clock: FakeClock) -> Room:
    return Room(clock)


async def test_who_speaks_is_never_pinged(room: Room) -> None:
    wire = room.enter()

    await room.live(200, each_step=wire.hear)

    assert (wire.pinged, wire.aborted) == ([], [])


async def test_a_silent_peer_is_pinged_after_the_interval_and_dropped_after_the_timeout(room: Room) -> None:
    wire = room.enter()

    await room.live(30)

    assert wire.pinged == [10, 20]
    assert wire.aborted == [25]
    assert room.counted == {"silent": 1}


async def test_a_peer_is_never_dropped_before_its_time(room: Room) -> None:
    """However its last word falls between two looks."""
    await room.live(1)
    room.clock.advance(0.2)
    wire = room.enter()

    await room.live(40)

    (gone,) = wire.aborted
    assert 25 <= gone - wire.heard <= 25 + room.heartbeat.tick


async def test_who_answers_pings_and_says_nothing_else_stays(room: Room) -> None:
    wire = room.enter()

    for _ in range(20):
        await room.live(10)
        wire.hear()

    assert len(wire.pinged) == 20
    assert wire.aborted == []


async def test_who_answers_late_and_in_time_stays(room: Room) -> None:
    wire = room.enter()

    for _ in range(10):
        await room.live(24)
        wire.hear()

    assert wire.aborted == []


async def test_time_in_which_this_process_did_not_run_is_nobodys_silence(room: Room) -> None:
    alive, gone = room.enter(), room.enter()

    await room.live(9)
    await room.freeze(300)
    dropped_at_once = [*alive.aborted, *gone.aborted]
    alive.hear()  # what it said meanwhile is read now
    await room.live(20, each_step=alive.hear)

    assert dropped_at_once == []
    assert alive.aborted == []
    assert gone.aborted, "who stays silent is dropped all the same, once that time has been lived through"


async def test_a_frozen_process_holds_nothing_stalled_against_anybody(room: Room) -> None:
    wire = room.enter()
    wire.write(b"x" * 100)
    await room.live(1)

    await room.freeze(300)
    wire.take(100)
    await room.live(20, each_step=wire.hear)

    assert wire.aborted == []


async def test_who_takes_nothing_of_what_waits_is_dropped_though_it_speaks(room: Room) -> None:
    wire = room.enter()
    await room.live(100, each_step=wire.hear)
    wire.write(b"x" * 100)
    began = room.clock.monotonic()

    await room.live(20, each_step=wire.hear)

    assert len(wire.aborted) == 1
    assert began + 5 <= wire.aborted[0] <= began + 5 + 2 * room.heartbeat.tick
    assert room.counted == {"stalled": 1}


async def test_who_takes_little_by_little_stays(room: Room) -> None:
    wire = room.enter()
    wire.write(b"x" * 1000)

    for _ in range(20):
        await room.live(4)
        wire.hear()
        wire.take(1)

    assert wire.waiting == 980
    assert wire.aborted == []


async def test_who_works_off_what_waits_is_not_silent_before_it_has_come_to_our_ping(room: Room) -> None:
    wire = room.enter()
    wire.write(b"x" * 1000)

    await room.live(100, each_step=lambda: wire.take(1))
    while_it_worked = list(wire.aborted)
    wire.take(wire.waiting)
    await room.live(30)

    assert while_it_worked == []
    assert wire.aborted, "it could have answered by now"


async def test_each_new_wait_is_counted_from_its_beginning(room: Room) -> None:
    wire = room.enter()

    for _ in range(20):
        wire.write(b"x")
        await room.live(4, each_step=wire.hear)
        wire.take(1)
        await room.live(1, each_step=wire.hear)

    assert wire.aborted == []


async def test_who_is_closing_already_is_left_alone(room: Room) -> None:
    wire = room.enter()
    wire.write(b"x")
    wire.close(CloseCode.SERVICE_RESTART)

    await room.live(100)

    assert (wire.pinged, wire.aborted) == ([], [])


async def test_whoever_has_left_is_forgotten(room: Room) -> None:
    wires = [room.enter() for _ in range(3)]
    await room.live(1)

    room.wires.discard(wires[0])
    await room.live(1)

    assert set(room.heartbeat._watched) == set(wires[1:])


async def test_wires_may_come_and_go_while_all_are_looked_at(room: Room) -> None:
    for _ in range(3 * SLICE):
        room.enter()
    room.clock.advance(10)

    looking = asyncio.create_task(room.heartbeat.look())
    await asyncio.sleep(0)
    running = not looking.done()
    room.wires.pop()
    room.enter()
    await looking

    assert running, "others have their turn in between"


async def test_short_times_are_looked_at_more_often(clock: FakeClock) -> None:
    room = Room(clock, WebSocket(heartbeat_interval=0.1, heartbeat_timeout=0.2, send_timeout=60))
    wire = room.enter()

    await room.live(0.3)

    assert wire.pinged
    assert wire.pinged[0] < wire.aborted[0]
    assert wire.aborted[0] == pytest.approx(0.2, abs=2 * room.heartbeat.tick)


class Broken(MemoryWire):
    """Fails the first looks at it."""

    looks = 0

    @property
    def waiting(self) -> int:
        self.looks += 1
        if self.looks < 3:
            raise ZeroDivisionError
        return 0

    @waiting.setter
    def waiting(self, _: int) -> None: ...


async def test_a_failure_in_one_look_does_not_end_the_heartbeat(clock: FakeClock) -> None:
    room = Room(clock, WebSocket(heartbeat_interval=0.1, heartbeat_timeout=0.2, send_timeout=60))
    broken = Broken(clock)
    room.wires.add(broken)

    with capture_logs() as logs:
        running = asyncio.create_task(room.heartbeat.run())
        await eventually(lambda: broken.looks > 3, within=10)
        running.cancel()

    assert [line["event"] for line in logs] == ["heartbeat_failed"] * 2
