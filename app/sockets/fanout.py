"""Hears what any process publishes on the topics that have listeners here, and tells where it may have missed some.

All of it goes over one connection, in one order: SUBSCRIBE, then the position, then every message after it. When the
connection is lost, so may be messages, and nobody says which: so all listeners of all topics are told to fetch anew.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog

from app.core.realtime import Channels, Position
from app.core.realtime.counting import position_command, positions
from app.core.realtime.messages import Control, Kind, Message
from app.core.redis import Value
from app.core.settings.sections import Redis as RedisSettings
from app.sockets.link import Command, Link, OnAnswer, open_link

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5  # seconds between two tries to connect
PATIENCE = 1.0  # seconds that a listener waits for its position; later it is told by a resync
BATCH = 100  # topics of one command
BURST = 50  # messages after which others have their turn


class FanoutObserver(Protocol):
    """Metrics implement this; it must return at once and never raise."""

    def resynced(self) -> None:
        """The listeners of a topic were told to fetch anew."""

    def delivered(self, lag: float) -> None:
        """A push of `lag` seconds ago was written to those who listen here."""

    def connected(self, *, is_so: bool) -> None:
        """Whether pushes of other instances arrive."""


class Receiver(Protocol):
    """Who holds the sockets. None of this waits for a socket, which would hold up what is read from Redis.

    Writing to many may let others have their turn in between: the next message waits until it is done.
    """

    async def deliver(self, topic: str, position: Position, data: bytes) -> int:
        """Write an event, whose `data` is JSON, to all listeners; return how many there are."""

    async def resync(self, topic: str, position: Position) -> int:
        """Tell all listeners to fetch anew, as they may have missed what came up to `position`; return how many."""

    def disconnect(self, user_id: str, credential: str | None) -> None:
        """Close the sockets of a user (1008, "signed out"), or those of one credential only."""

    def review_now(self) -> None:
        """Somebody may have signed out unheard: check the credentials of all sockets soon."""


async def _nobody() -> None:
    """Nobody asks to be told."""


@dataclass(eq=False, slots=True)
class _Wanted:
    """A topic that has listeners here, or is about to have."""

    listeners: int = 0
    position: Position | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)  # the position is known, or will not be for now
    missed: bool = False  # the listeners know no position, or an old one


class Fanout:
    """One for each process that holds sockets; `run` it in a task beside them."""

    def __init__(
        self,
        settings: RedisSettings,
        receiver: Receiver,
        *,
        observer: FanoutObserver,
        on_connected: Callable[[], Awaitable[object]] = _nobody,
    ) -> None:
        """Nothing is opened before `run`.

        `on_connected` is awaited whenever Redis answers again, before anybody is told to fetch anew.
        """
        self.connected = False
        self._settings = settings
        self._channels = Channels(settings.url.reveal())
        self._receiver = receiver
        self._observer = observer
        self._on_connected = on_connected
        self._wanted: dict[str, _Wanted] = {}
        self._subscribed: set[str] = set()
        self._changed: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()  # once: Redis has answered, or has not
        self._link: Link | None = None
        self._pause = FIRST_PAUSE

    async def want(self, topic: str) -> Position | None:
        """One listener more, who will be told of everything after the position that is returned.

        It is the position of this very moment: enter the listener and write `subscribed` before awaiting anything
        else. None while Redis is away (after a second at most): a resync follows when it is back. Every call that has
        returned needs one `drop`; one that is cancelled leaves nothing behind.
        """
        wanted = self._wanted.get(topic)
        if wanted is None:
            wanted = self._wanted[topic] = _Wanted()
            self._change(topic)
        wanted.listeners += 1
        try:
            await self._settled(wanted)
        except BaseException:  # cancelled
            self.drop(topic)
            raise
        wanted.missed |= wanted.position is None
        return wanted.position

    def drop(self, topic: str) -> None:
        """One listener less."""
        wanted = self._wanted[topic]
        wanted.listeners -= 1
        if not wanted.listeners:
            del self._wanted[topic]
            self._change(topic)

    async def _settled(self, wanted: _Wanted) -> None:
        if wanted.position or not self._link:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await wanted.settled.wait()
        except TimeoutError:
            pass

    def _change(self, *topics: str) -> None:
        if self._link:  # else whatever is wanted then is new to the next one
            self._changed.update(dict.fromkeys(topics))
            self._wake.set()

    async def run(self) -> None:
        """Connect, again and again, until cancelled."""
        self._observer.connected(is_so=False)
        told = ""
        while True:
            try:
                await self._live()
            except* Exception as group:  # noqa: BLE001  (whatever it was: connect again, and announce the gap)
                told = _tell(group, unless=told if self._pause > FIRST_PAUSE else "")
            self._tried.set()
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311  (jitter, not a secret)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def first_try(self) -> None:
        """Wait until it is connected, or knows that it is not for now; a second at most.

        Sockets that come before would all be told to fetch anew, with nothing missed: a crowd, after each restart.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._tried.wait()
        except TimeoutError:
            pass

    async def _live(self) -> None:
        async with open_link(self._settings) as link:
            self._begin(link)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._read(link))
                    tasks.create_task(link.watch())
                    await self._on_connected()  # first: whoever is told to fetch anew may need what it brings back
                    await self._catch_up(link)
                    self._tell_connected()
                    await self._write(link)
            finally:
                self._end()

    def _begin(self, link: Link) -> None:
        self._link = link
        self._changed.clear()
        self._subscribed.clear()
        self._forget_positions()
        self._change(*self._wanted)

    def _end(self) -> None:
        self._link = None
        self.connected = False
        self._observer.connected(is_so=False)
        self._forget_positions()
        for wanted in self._wanted.values():
            wanted.settled.set()

    def _forget_positions(self) -> None:
        """Their listeners are told of a new one as soon as it is known."""
        for wanted in self._wanted.values():
            wanted.missed |= wanted.position is not None
            wanted.position = None
            wanted.settled.clear()

    async def _catch_up(self, link: Link) -> None:
        """Hear and know everything that is wanted by now, and see Redis answer."""
        await link.send(("SUBSCRIBE", self._channels.control))
        await self._settle(link)
        answered = asyncio.Event()

        async def on_answer(_: Value) -> None:
            answered.set()

        await link.send(("PING",), on_answers=[on_answer])
        await answered.wait()

    def _tell_connected(self) -> None:
        self.connected = True
        self._pause = FIRST_PAUSE
        self._tried.set()
        self._observer.connected(is_so=True)
        log.info("realtime_connected", topics=len(self._wanted))
        self._receiver.review_now()

    async def _write(self, link: Link) -> None:
        while True:
            await self._wake.wait()
            await self._settle(link)

    async def _settle(self, link: Link) -> None:
        self._wake.clear()
        while self._changed:
            topics = list(self._changed)[:BATCH]
            for topic in topics:
                del self._changed[topic]
            await link.send(*self._commands(topics), on_answers=self._on_answers(topics))

    def _commands(self, topics: Sequence[str]) -> list[Command]:
        wanted = [topic for topic in topics if topic in self._wanted]
        new = [topic for topic in wanted if topic not in self._subscribed]
        gone = [topic for topic in topics if topic not in self._wanted and topic in self._subscribed]
        self._subscribed.update(new)
        self._subscribed.difference_update(gone)
        commands: list[Command] = []
        if gone:
            commands.append(("UNSUBSCRIBE", *map(self._channels.of_topic, gone)))
        if new:
            commands.append(("SUBSCRIBE", *map(self._channels.of_topic, new)))
        if wanted:
            commands.append(position_command(self._channels, wanted))
        return commands

    def _on_answers(self, topics: Sequence[str]) -> list[OnAnswer]:
        asked = [(topic, self._wanted[topic]) for topic in topics if topic in self._wanted]
        return [partial(self._know, asked)] if asked else []

    async def _know(self, asked: Sequence[tuple[str, _Wanted]], answer: Value) -> None:
        for (topic, wanted), position in zip(asked, positions(answer), strict=True):
            if self._wanted.get(topic) is not wanted:  # dropped meanwhile, and perhaps wanted anew
                continue
            wanted.position = position
            wanted.settled.set()
            if wanted.missed:
                await self._resync(topic, wanted, position)

    async def _read(self, link: Link) -> None:
        """Let others have their turn now and then: what is there already is read without waiting."""
        done = 0
        while True:
            if came := await link.read():
                await self._hear(*came)
            done += 1
            if done % BURST == 0:
                await asyncio.sleep(0)

    async def _hear(self, channel: bytes, payload: bytes) -> None:
        topic = self._channels.topic_of(channel.decode())
        try:
            said = Control.parse(payload) if topic is None else Message.parse(payload)
        except ValueError:
            log.warning("realtime_malformed", channel=channel.decode())
            return
        if isinstance(said, Control):
            self._obey(said)
        elif topic is not None and (wanted := self._wanted.get(topic)) and wanted.position:
            await self._receive(topic, wanted, wanted.position, said)

    def _obey(self, control: Control) -> None:
        for who in control.sign_outs:
            self._receiver.disconnect(who.user_id, who.credential)
        if control.review:
            self._receiver.review_now()
        if control.resync:
            self._forget_positions()
            self._change(*self._wanted)

    async def _receive(self, topic: str, wanted: _Wanted, last: Position, message: Message) -> None:
        if message.kind is Kind.RESYNC:
            await self._resync(topic, wanted, message.position)
            return
        if not message.position.follows(last):
            await self._resync(topic, wanted, message.position.before)
        wanted.position = message.position
        if await self._receiver.deliver(topic, message.position, message.data):
            self._observer.delivered(time.time() - message.at)

    async def _resync(self, topic: str, wanted: _Wanted, position: Position) -> None:
        wanted.position, wanted.missed = position, False
        if await self._receiver.resync(topic, position):
            self._observer.resynced()


def _tell(group: BaseExceptionGroup[BaseException], *, unless: str) -> str:
    """Log why the connection was lost or did not come about, but not the same again and again."""
    error = group.exceptions[0]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if reason != unless:
        log.warning("realtime_disconnected", reason=reason, exc_info=None if _is_expected(error) else error)
    return reason


def _is_expected(error: BaseException) -> bool:
    from redis.exceptions import RedisError  # noqa: PLC0415  (see app/core/redis.py)

    return isinstance(error, (OSError, RedisError, TimeoutError))
