"""Pushes to topics and users on every instance, from any process, and says later what it could not say now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import structlog

from app.core import json
from app.core.realtime.counting import begin_era, count_and_publish
from app.core.realtime.messages import EVERYONE, Channels, Control, Kind, SignOut, is_topic, user_topic
from app.core.realtime.owed import Owed
from app.core.redis import Redis, RedisUnavailable

log = structlog.get_logger(__name__)

MAX_DATA = 65_536  # bytes of JSON
BATCH = 100  # topics of one announcement: Redis serves nobody else meanwhile
PAY_EVERY = 0.1  # seconds between two tries to say what is owed
# Seconds for which Redis is back before sign-outs are said: nobody repeats them for an instance that connects later. (A
# topic is announced to it anyway.) An instance tries at least each half second.
SETTLED = 1.0
LAST_TRY = 1.0  # seconds that closing may take for it


OnSignOut = Callable[[str, str | None], None]


class PublisherObserver(Protocol):
    """Metrics implement this; it must return at once and never raise."""

    def published(self, outcome: str) -> None:
        """A push ended: `ok`, or `unavailable` where its loss is announced later."""


class NoObserver:
    """Nobody is watching."""

    def published(self, outcome: str) -> None: ...


class Publisher:
    """One for each process, with or without a server.

    Every push returns True where Redis took it. Where Redis did not, or may not have, it returns False and raises
    nothing: every listener of the topic is told to fetch anew (`resync`) as soon as Redis answers again.
    """

    def __init__(self, redis: Redis, *, observer: PublisherObserver | None = None) -> None:
        self._redis = redis
        self._observer = observer or NoObserver()
        self._channels = Channels(redis.settings.url.reveal())
        self._topics = Owed[str]()
        self._sign_outs = Owed[SignOut]()
        self._owing = asyncio.Event()
        self._closed = False
        self._on_sign_out: list[OnSignOut] = []

    async def publish(self, topic: str, data: object) -> bool:
        """Push to whoever is subscribed to `topic`.

        Raises `ValueError` for a malformed name or more than 64 KiB of JSON, `TypeError` for what has no JSON.
        """
        if not is_topic(topic):
            raise ValueError(f"{topic!r} is not the name of a topic")
        return await self._publish(topic, _encoded(data))

    async def send_to_user(self, user_id: str, data: object) -> bool:
        """Push to all sockets of a user. Raises as `publish` does."""
        return await self.publish(user_topic(user_id), data)

    async def broadcast(self, data: object) -> bool:
        """Push to every socket. Raises as `publish` does."""
        return await self.publish(EVERYONE, data)

    async def disconnect(self, user_id: str, credential: str | None = None) -> bool:
        """Close the user's sockets (1008), or only those opened with this credential.

        False where Redis did not take it: those of other instances are closed once it answers again, or at their next
        review.
        """
        for call in self._on_sign_out:
            call(user_id, credential)
        sign_out = SignOut(user_id, credential)
        return await self._say(self._control(Control((sign_out,))), lambda: self._sign_outs.add(sign_out))

    def on_sign_out(self, call: OnSignOut) -> None:
        """Have `call` told of whom this process disconnects, without the way through Redis; it must return at once."""
        self._on_sign_out.append(call)

    async def _publish(self, topic: str, data: bytes) -> bool:
        saying = count_and_publish(self._redis, self._channels, Kind.EVENT, [topic], data)
        return await self._say(saying, lambda: self._topics.add(topic))

    async def _say(self, saying: Awaitable[None], owe: Callable[[], None]) -> bool:
        try:
            await saying
        except BaseException as error:  # also where it is cancelled: whether Redis took it is not known
            owe()
            self._owing.set()
            self._observer.published("unavailable")
            if not _is_from_redis(error):
                raise
            return False
        self._observer.published("ok")
        return True

    async def _control(self, control: Control) -> None:
        await self._redis.execute("PUBLISH", self._channels.control, control.dump())

    async def run(self) -> None:
        """Say what is owed once Redis answers again, until cancelled or closed."""
        answers = 0  # looks in a row at which Redis was there
        while not self._closed:  # before Python 3.12 the client library may lose a cancellation
            await self._owing.wait()
            answers = answers + 1 if self._redis.is_up else 0
            if answers:
                await self._try_to_pay(sign_outs=answers * PAY_EVERY >= SETTLED)
            if self._owes:
                await asyncio.sleep(PAY_EVERY)
            else:
                self._owing.clear()
                answers = 0

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._closed = True

    async def close(self) -> None:
        """Try once more to say what is owed, for a second at most, and log what stays unsaid."""
        if not self._owes:
            return
        with suppress(Exception):
            async with asyncio.timeout(LAST_TRY):
                await self._redis.check()  # past the breaker: it may be back without a probe having asked
                await self._pay_sign_outs()
                await self._pay_topics()
        if self._owes:
            log.warning("realtime_owed", topics=_amount(self._topics), sign_outs=_amount(self._sign_outs))

    @property
    def _owes(self) -> bool:
        return bool(self._topics or self._sign_outs)

    async def _try_to_pay(self, *, sign_outs: bool) -> None:
        try:
            await self._pay_topics()
            if sign_outs:
                await self._pay_sign_outs()
        except Exception as error:
            if not _is_from_redis(error):
                log.exception("realtime_owed_failed")

    async def _pay_topics(self) -> None:
        with self._topics.paying_everything() as resync:
            if resync:
                await begin_era(self._redis)
                await self._control(Control(resync=True))
        while len(self._topics):
            with self._topics.paying(BATCH) as topics:
                await count_and_publish(self._redis, self._channels, Kind.RESYNC, topics)

    async def _pay_sign_outs(self) -> None:
        with self._sign_outs.paying_everything() as review:
            if review:
                await self._control(Control(review=True))
        while len(self._sign_outs):
            with self._sign_outs.paying(BATCH) as sign_outs:
                await self._control(Control(tuple(sign_outs)))


@asynccontextmanager
async def open_publisher(redis: Redis, *, observer: PublisherObserver | None = None) -> AsyncIterator[Publisher]:
    """A publisher and the task that says later what it owes; `redis` must outlive it."""
    publisher = Publisher(redis, observer=observer)
    paying = asyncio.create_task(publisher.run(), name="realtime, owed")
    try:
        yield publisher
    finally:
        publisher.stop()
        paying.cancel()
        await asyncio.wait({paying})
        await publisher.close()


def _encoded(data: object) -> bytes:
    encoded = json.dumps(data)
    if len(encoded) > MAX_DATA:
        raise ValueError(f"{len(encoded)} bytes of JSON are more than {MAX_DATA}: push an id, and let it be fetched")
    return encoded


def _amount(owed: Owed[str] | Owed[SignOut]) -> int | str:
    return "everything" if owed.everything else len(owed)


def _is_from_redis(error: BaseException) -> bool:
    if isinstance(error, RedisUnavailable):
        return True
    from redis.exceptions import RedisError  # noqa: PLC0415  (see app/core/redis.py)

    return isinstance(error, RedisError)
