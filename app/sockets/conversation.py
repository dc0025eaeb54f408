"""What one client says, message by message, and what it is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import structlog

from app.core.database import translate
from app.core.errors import (
    AppError,
    Conflict,
    Forbidden,
    PayloadTooLarge,
    RateLimited,
    RequestTimeout,
    ServiceUnavailable,
)
from app.core.resources import Resources
from app.sockets.connection import Connection
from app.sockets.frames import PONG, ClientFrame, Ping, Publish, Subscribe, Unsubscribe, error_frame, read
from app.sockets.patterns import Topics, own_topics
from app.sockets.rates import TokenBucket, Verdict
from app.sockets.topics import Asked, Rule
from app.sockets.wire import CloseCode

log = structlog.get_logger(__name__)

Receive = Callable[[], Awaitable[str | bytes]]

FLOODED = "too many messages"


class NotAllowed(Forbidden):
    """You may not do this with this topic."""


class TooManyTopics(Conflict):
    """This socket is subscribed to as many topics as it may be; unsubscribe from one first."""


class TooManyMessages(RateLimited):
    """Too many messages; please slow down, or the socket is closed."""


class TooMuchData(PayloadTooLarge):
    """The data is larger than what can be published; send an id, and let the rest be fetched."""


class NotPublished(ServiceUnavailable):
    """The message could not be passed on; please try again shortly."""


class RuleTooSlow(RequestTimeout):
    """It took too long to find out whether you may do this."""


class Listening(Protocol):
    """Enters and forgets listeners, and tells them so."""

    async def listen(self, connection: Connection, topic: str) -> None: ...

    def unlisten(self, connection: Connection, topic: str) -> None: ...


class Conversation:
    """One client's; it lasts until the client leaves, which cancels it, or the socket is closed from here."""

    __slots__ = ("_bucket", "_connection", "_listening", "_resources", "_topics")

    def __init__(self, connection: Connection, listening: Listening, topics: Topics, resources: Resources) -> None:
        self._connection = connection
        self._listening = listening
        self._topics = topics
        self._resources = resources
        self._bucket = TokenBucket(resources.settings.websocket.message_rate, resources.clock.monotonic())

    async def run(self, receive: Receive) -> None:
        """Answer what `receive` gives. Raises what nobody expected of a rule."""
        while True:
            message = await receive()
            if not self._connection.is_open:
                return
            self._resources.metrics.sockets.received()
            if self._may_send():
                await self._answer(message)

    def _may_send(self) -> bool:
        verdict = self._bucket.take(self._resources.clock.monotonic())
        if verdict is Verdict.REFUSED:
            self._refuse(TooManyMessages())
        elif verdict is Verdict.FLOOD:
            self._resources.metrics.sockets.dropped("flood")
            self._connection.close(CloseCode.POLICY_VIOLATION, FLOODED)
        return verdict is Verdict.PASSED

    async def _answer(self, message: str | bytes) -> None:
        topic = None
        try:
            frame = read(message)
            topic = None if isinstance(frame, Ping) else frame.topic
            await self._do(frame)
        except AppError as error:
            self._refuse(error, topic)
        except Exception as error:
            translated = translate(error)
            if translated is None:
                raise
            translated.__cause__ = error
            self._refuse(translated, topic)

    def _refuse(self, error: AppError, topic: str | None = None) -> None:
        if error.status >= 500:
            cause = error.__cause__
            named = {} if cause is None else {"cause": type(cause).__name__}
            log.warning("message_failed", code=error.code, reason=error.message, topic=topic, **named)
        self._resources.metrics.sockets.faulty(error.code)
        self._connection.send(error_frame(error.code, error.message, topic))

    async def _do(self, frame: ClientFrame) -> None:
        match frame:
            case Ping():
                self._connection.send(PONG)
            case Subscribe(topic):
                await self._subscribe(topic)
            case Unsubscribe(topic):
                self._listening.unlisten(self._connection, topic)
            case Publish(topic, data):
                await self._publish(topic, data)

    async def _subscribe(self, topic: str) -> None:
        found, heard = self._topics.match(topic), self._connection.topics
        if topic not in heard:
            chosen = heard.difference(own_topics(self._connection.user_id))
            if len(chosen) >= self._resources.settings.websocket.max_topics:
                raise TooManyTopics
            await self._ask(found.topic.subscribe, self._asked(topic, found.parameters))
        await self._listening.listen(self._connection, topic)

    async def _publish(self, topic: str, data: Any) -> None:  # noqa: ANN401  (decoded JSON)
        found = self._topics.match(topic)
        await self._ask(found.topic.publish, self._asked(topic, found.parameters, data))
        try:
            taken = await self._resources.realtime.publish(topic, data)
        except ValueError as error:  # the name is one, so this is about the size
            raise TooMuchData from error
        if not taken:
            raise NotPublished

    def _asked(self, topic: str, parameters: Any, data: Any = None) -> Asked:  # noqa: ANN401  (of a match, of a frame)
        return Asked(self._connection.caller, topic, parameters, self._resources, data)

    async def _ask(self, rule: Rule, asked: Asked) -> None:
        limit = asyncio.timeout(self._resources.settings.server.request_timeout)
        try:
            async with limit:
                allowed = await rule(asked)
        except TimeoutError as error:
            if limit.expired():
                raise RuleTooSlow from error
            raise
        if not allowed:
            raise NotAllowed
