"""A book of every push and of every frame that clients got, which shows a loss that nobody announced.

A push is entered before it is made, as a feature commits its data before it pushes. A client does with frames what the
documentation tells it: it adds what an event brings, and looks everything up again when it is told `resync`. So in the
end each client knows everything, unless something was lost silently.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx

from tests.harness.app_process import AppProcess
from tests.harness.talking import Frame, Talk, talking
from tests.harness.waiting import eventually, lateness

PACE = 0.01  # seconds between two pushes of one writer
POLL = 0.01
PATIENCE = 30.0


@dataclass(frozen=True)
class Entry:
    """One push; `number` counts those of its writer."""

    writer: int
    number: int


@dataclass
class Book:
    """What was pushed on which topic, and what became of it as far as the writer was told."""

    entries: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    began: dict[Entry, float] = field(default_factory=dict)
    told: dict[Entry, bool] = field(default_factory=dict)

    @property
    def taken(self) -> Counter[bool]:
        return Counter(self.told.values())


class Reader:
    """A client that believes what it is told, and checks that it is told in order."""

    def __init__(self, book: Book, talk: Talk) -> None:
        self.known: dict[str, set[Entry]] = defaultdict(set)
        self.heard: dict[str, list[Entry]] = defaultdict(list)
        self.numbered: dict[tuple[str, str, int], Entry] = {}  # by topic, epoch and seq
        self.resyncs = 0
        self.times: list[tuple[float, float]] = []  # of each event, when its push began and when it was read
        self.faults: list[str] = []
        self._book = book
        self._talk = talk
        self._at: dict[str, tuple[str, int]] = {}

    async def subscribe(self, topic: str) -> None:
        self._at[topic] = _position(await self._talk.subscribe(topic))

    async def run(self) -> None:
        async for message in self._talk.socket:
            self._take(json.loads(message))

    def _take(self, frame: Frame) -> None:
        if frame["type"] == "event":
            self._event(frame["topic"], frame["seq"], Entry(**frame["data"]))
        elif frame["topic"] in self._at:  # not those that are heard without asking
            self.resyncs += 1
            self._at[frame["topic"]] = _position(frame)
            self.known[frame["topic"]].update(self._book.entries[frame["topic"]])

    def _event(self, topic: str, seq: int, entry: Entry) -> None:
        epoch, last = self._at[topic]
        if seq != last + 1:
            self.faults.append(f"{topic}: {seq} after {last} of {epoch}")
        self._at[topic] = (epoch, seq)
        self.numbered[topic, epoch, seq] = entry
        self.heard[topic].append(entry)
        self.known[topic].add(entry)
        self.times.append((self._book.began[entry], time.monotonic()))

    def heard_since(self, moment: float) -> float | None:
        """When it read the first event that was pushed after this moment."""
        return next((read for began, read in self.times if began > moment), None)

    def lost(self) -> set[Entry]:
        """What it was never sent, announced or not."""
        return {entry for topic in self._at for entry in set(self._book.entries[topic]) - set(self.heard[topic])}

    def lost_silently(self) -> set[Entry]:
        return {entry for topic in self._at for entry in set(self._book.entries[topic]) - self.known[topic]}

    def out_of_order(self) -> list[Entry]:
        """Entries that came after a later one of the same writer."""
        late, newest = [], dict[tuple[str, int], int]()
        for topic, entries in self.heard.items():
            for entry in entries:
                if entry.number <= newest.get((topic, entry.writer), -1):
                    late.append(entry)
                newest[topic, entry.writer] = entry.number
        return late


def _position(frame: Frame) -> tuple[str, int]:
    return frame["epoch"], frame["seq"]


@dataclass(frozen=True)
class Resumption:
    """How long it took until all heard again, and how much of it a busy machine kept this very process waiting."""

    seconds: float
    stolen: float


class Ledger:
    """Writers and readers on every instance, for as long as the block runs."""

    def __init__(self) -> None:
        self.book = Book()
        self.readers: list[Reader] = []
        self._stop = asyncio.Event()

    async def write(self, http: httpx.AsyncClient, writer: int, topics: Sequence[str]) -> None:
        """Push on one topic after the other, until told to stop."""
        for number in count():
            if self._stop.is_set():
                return
            topic, entry = topics[number % len(topics)], Entry(writer, number)
            self.book.entries[topic].append(entry)
            self.book.began[entry] = time.monotonic()
            data = {"writer": writer, "number": number}
            answer = await http.post(f"/test/realtime/topics/{topic}", json=data)
            self.book.told[entry] = answer.raise_for_status().json()["taken"]
            await asyncio.sleep(PACE)

    def stop_writing(self) -> None:
        self._stop.set()

    async def resumed(self, since: float) -> Resumption:
        """Wait until every reader hears what is pushed after `since`."""
        stolen, deadline = 0.0, since + PATIENCE
        while (read := self._read_since(since)) is None:
            assert time.monotonic() < deadline, f"nothing was heard for {PATIENCE:g} s"
            stolen += await lateness(POLL)
        return Resumption(read - since, stolen)

    def _read_since(self, moment: float) -> float | None:
        times = [read for reader in self.readers if (read := reader.heard_since(moment)) is not None]
        return max(times) if len(times) == len(self.readers) else None

    async def some_calm(self, pushes: int = 20) -> None:
        """Let Redis take some more pushes before the next fault."""
        enough = self.book.taken[True] + pushes
        await eventually(lambda: self.book.taken[True] >= enough, within=PATIENCE)

    def same_everywhere(self) -> bool:
        """Whether one number of an epoch means the same to all."""
        meant: dict[tuple[str, str, int], Entry] = {}
        return all(
            meant.setdefault(key, entry) == entry for reader in self.readers for key, entry in reader.numbered.items()
        )


@asynccontextmanager
async def keeping_a_ledger(apps: Sequence[AppProcess], topics: Sequence[str], *, readers: int) -> AsyncIterator[Ledger]:
    """One writer and some readers on each instance; at the end of the block writing has stopped, and all is read."""
    ledger = Ledger()
    async with AsyncExitStack() as open_sockets, asyncio.TaskGroup() as tasks:
        reading = []
        for app in apps:
            for _ in range(readers):
                reader = Reader(ledger.book, await open_sockets.enter_async_context(talking(app, "ada")))
                for topic in topics:
                    await reader.subscribe(topic)
                ledger.readers.append(reader)
                reading.append(tasks.create_task(reader.run()))
        writing = [tasks.create_task(ledger.write(app.http, number, topics)) for number, app in enumerate(apps)]
        try:
            yield ledger
        finally:
            ledger.stop_writing()
            await asyncio.wait(writing)
            await _all_read(ledger)
            for task in reading:
                task.cancel()


async def _all_read(ledger: Ledger) -> None:
    """The last pushes and announcements are under way: give them time, and let the test judge what never came."""
    try:
        await eventually(lambda: not any(reader.lost_silently() for reader in ledger.readers), within=5)
    except AssertionError:
        return
