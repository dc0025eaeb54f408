"""The middle of it all: who is connected, what is pushed to them, and who is not signed in any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog
from quart import current_app

from app.core.callers import Caller
from app.core.ids import new_id
from app.core.realtime import Position, is_topic
from app.core.resources import Resources
from app.sockets.connection import Connection
from app.sockets.conversation import Conversation, Receive
from app.sockets.fanout import Fanout
from app.sockets.frames import event_frame, resync_frame, subscribed_frame, unsubscribed_frame, welcome_frame
from app.sockets.manager import Manager
from app.sockets.patterns import Topics, own_topics
from app.sockets.review import SIGNED_OUT, Review
from app.sockets.wire import CloseCode, Wire

log = structlog.get_logger(__name__)

# In the extensions of an application: what its features declare, and the hub, while it is open.
TOPICS, HUB = "plinth.topics", "plinth.hub"

# Seconds for which a sign-out is remembered: longer than a handshake takes that had asked before it.
RECENT = 60.0

Reviewer = Callable[[Sequence[str], Resources], Awaitable[Collection[str]]]


class Hub:
    """One for each process that holds sockets."""

    def __init__(self, resources: Resources, topics: Topics, reviewer: Reviewer | None = None) -> None:
        """`reviewer` says which credentials still hold; without it they only expire."""
        settings = resources.settings
        self.resources = resources
        self.topics = topics
        self.manager = Manager(
            resources.metrics.sockets,
            reconnect_spread=settings.websocket.reconnect_spread,
            drain_delay=settings.server.drain_delay,
        )
        self.fanout = Fanout(
            settings.redis,
            self,
            observer=resources.metrics.sockets,
            on_connected=resources.redis_probe.check_once,
        )
        self.review = Review(
            self.manager.everybody,
            partial(_ask, reviewer, resources) if reviewer else None,
            interval=settings.websocket.review_interval,
            clock=resources.clock,
        )
        self._signed_out: dict[str, float] = {}  # user ids, and when; the oldest first

    async def serve(self, wire: Wire, receive: Receive, *, id_: str, caller: Caller | None, client: str) -> None:
        """Hold a conversation over an accepted socket, until it ends; `id_` is from `id_for`."""
        connection = self._connection(wire, id_, caller, client)
        user_id = connection.user_id
        interval = self.resources.settings.websocket.heartbeat_interval
        connection.send(welcome_frame(connection.id, user_id, interval))
        self.manager.add(connection)
        if self._has_just_signed_out(user_id):
            self.review.soon()
        try:
            for topic in filter(is_topic, own_topics(user_id)):
                await self.listen(connection, topic)
            await Conversation(connection, self, self.topics, self.resources).run(receive)
        finally:
            for topic in self.manager.remove(connection):
                self.fanout.drop(topic)

    def id_for(self, wish: str) -> str:
        """The id of a new connection, which the log calls it by, too: two clients may have named the same."""
        if self.manager.get(wish) is None:
            return wish
        id_ = str(new_id())
        structlog.contextvars.bind_contextvars(connection_id=id_)
        return id_

    def _connection(self, wire: Wire, id_: str, caller: Caller | None, client: str) -> Connection:
        return Connection(
            self.id_for(id_),  # once more: another may have taken it while this one was accepted
            wire,
            caller=caller,
            client=client,
            connected_at=self.resources.clock.now(),
            metrics=self.resources.metrics.sockets,
            send_buffer=self.resources.settings.websocket.send_buffer,
        )

    # What a conversation asks for.

    async def listen(self, connection: Connection, topic: str) -> None:
        """Have it hear a topic, and tell it from where on. Twice is as once."""
        position = await self.fanout.want(topic)
        # Nothing is awaited from here to the frame: what comes after this position is heard, and nothing before it.
        if not self.manager.subscribe(connection, topic):
            self.fanout.drop(topic)
        connection.send(subscribed_frame(topic, position))

    def unlisten(self, connection: Connection, topic: str) -> None:
        """Have it hear a topic no more."""
        if self.manager.unsubscribe(connection, topic):
            self.fanout.drop(topic)
        connection.send(unsubscribed_frame(topic))

    # What the fan-out has heard: `app.sockets.fanout.Receiver`.

    async def deliver(self, topic: str, position: Position, data: bytes) -> int:
        return await self.manager.deliver(topic, event_frame(topic, position.seq, data))

    async def resync(self, topic: str, position: Position) -> int:
        return await self.manager.deliver(topic, resync_frame(topic, position))

    def disconnect(self, user_id: str, credential: str | None) -> None:
        self._remember(user_id)
        for connection in self.manager.get_by_user(user_id):
            if connection.caller and credential in {None, connection.caller.credential}:
                connection.close(CloseCode.POLICY_VIOLATION, SIGNED_OUT)

    def review_now(self) -> None:
        self.review.soon()

    # A sign-out may come between the question who calls and the socket. Then that question is asked once more.

    def _remember(self, user_id: str) -> None:
        now = self.resources.clock.monotonic()
        self._signed_out.pop(user_id, None)
        self._signed_out[user_id] = now
        while self._signed_out and now - next(iter(self._signed_out.values())) > RECENT:
            del self._signed_out[next(iter(self._signed_out))]

    def _has_just_signed_out(self, user_id: str | None) -> bool:
        if user_id is None or user_id not in self._signed_out:
            return False
        return self.resources.clock.monotonic() - self._signed_out[user_id] <= RECENT


async def _ask(reviewer: Reviewer, resources: Resources, credentials: Sequence[str]) -> Collection[str]:
    return await reviewer(credentials, resources)


@asynccontextmanager
async def open_hub(resources: Resources, topics: Topics, reviewer: Reviewer | None = None) -> AsyncIterator[Hub]:
    """A hub that hears what is pushed, for as long as the block runs."""
    hub = Hub(resources, topics, reviewer)
    resources.realtime.on_sign_out(hub.disconnect)
    works = (("realtime, fan-out", hub.fanout.run), ("realtime, review", hub.review.run))
    tasks = [asyncio.create_task(_kept_up(name, work), name=name) for name, work in works]
    try:
        await hub.fanout.first_try()
        yield hub
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _kept_up(name: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
    """A mistake in what runs beside the sockets must not leave them deaf: it is logged, and the work begins anew."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("realtime_task_failed", task=name)
        await asyncio.sleep(1)


def hub() -> Hub:
    """The hub of the application that is serving. Raises `RuntimeError` where it was built for its routes only."""
    found: Hub | None = current_app.extensions.get(HUB)
    if found is None:
        raise RuntimeError("The application has no open hub: it was built for its routes only.")
    return found
