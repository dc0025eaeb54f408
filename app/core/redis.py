"""Redis for work that can do without it: a short deadline per command, and none at all while it is known to be down."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from app.core.clock import Clock
from app.core.errors import ServiceUnavailable
from app.core.probe import Probe
from app.core.redis_line import Lines
from app.core.settings.sections import Redis as RedisSettings

if TYPE_CHECKING:  # imported when a client is made: it costs 0.1 s of every start, also of commands without Redis
    from redis.asyncio import Redis as Client
    from redis.asyncio.connection import AbstractConnection

log = structlog.get_logger(__name__)

# What the client library makes of an answer: bytes, an int, a list of those, True for OK, ...
Value = Any
RETRY_AFTER = 1  # seconds
# Longer than a request waits, since a short pause of our own loop is not an outage of Redis.
PROBE_TIMEOUT = 0.5


class RedisUnavailable(ServiceUnavailable):
    """A service that is needed here does not answer; please try again shortly."""


class RedisObserver(Protocol):
    """Metrics implement this; it must return at once and never raise."""

    def commanded(self, command: str, outcome: str, seconds: float) -> None:
        """A command ended; `outcome` is `ok`, `error`, `unavailable` or `refused` (known to be down, not tried)."""


class NoObserver:
    """Nobody is watching."""

    def commanded(self, command: str, outcome: str, seconds: float) -> None: ...


class Redis:
    """Commands with one deadline each, connecting included, behind a breaker.

    The first command that meets a dead or silent Redis waits at most `redis.timeout`; from then on every command
    is refused at once, until a running probe's `check` has seen an answer.
    """

    def __init__(self, settings: RedisSettings, *, observer: RedisObserver | None = None) -> None:
        """Nothing is opened before the first command."""
        self.settings = settings
        self.is_up = True
        self._observer = observer or NoObserver()
        self._lines = Lines(lambda: _connected(settings), most=settings.pool_max, timeout=settings.timeout)
        self._pinger = _client(settings)
        self._shape = self._pinger.response_callbacks  # True for OK, and the like
        self._ping: Callable[..., Awaitable[Value]] = self._pinger.execute_command
        self._on_trouble: list[Callable[[], None]] = []

    async def execute(self, command: str, *arguments: bytes | str | float) -> Value:
        """Run one command, such as `execute("SET", key, value, "EX", 60)`.

        Raises `RedisUnavailable`; an answer that is an error (wrong type, unknown command) is raised as it is.
        """
        if not self.is_up:
            self._observer.commanded(command, "refused", 0.0)
            raise RedisUnavailable(retry_after=RETRY_AFTER)
        started = time.perf_counter()
        try:
            answer = await self._lines.run(command, *arguments)
        except Exception as error:
            raise self._failed(command, error, time.perf_counter() - started) from error
        self._observer.commanded(command, "ok", time.perf_counter() - started)
        shape = self._shape.get(command)
        return answer if shape is None else shape(answer)

    def _failed(self, command: str, error: Exception, seconds: float) -> Exception:
        unavailable = _is_trouble(error)
        self._observer.commanded(command, "unavailable" if unavailable else "error", seconds)
        if not unavailable:
            return error
        self._trip(error)
        return RedisUnavailable(retry_after=RETRY_AFTER)

    def _trip(self, error: Exception) -> None:
        if self.is_up:
            self.is_up = False
            log.warning("redis_unavailable", error=type(error).__name__)
        for call in self._on_trouble:
            call()

    async def check(self) -> None:
        """Ping on a connection of its own, and let commands through again once Redis has answered."""
        try:
            await self._ping("PING")
        except BaseException:
            self.is_up = False
            raise
        self.is_up = True

    def on_trouble(self, call: Callable[[], None]) -> None:
        """Have `call` called whenever Redis did not answer; it must return at once."""
        self._on_trouble.append(call)

    async def close(self) -> None:
        await self._lines.close()
        await self._pinger.aclose()


@asynccontextmanager
async def open_redis(settings: RedisSettings, *, observer: RedisObserver | None = None) -> AsyncIterator[Redis]:
    """A client, whether or not Redis is there: the app starts and lives without it."""
    redis = Redis(settings, observer=observer)
    try:
        yield redis
    finally:
        await redis.close()


def redis_probe(redis: Redis, *, clock: Clock | None = None) -> Probe:
    """The probe that closes the breaker again; commands that meet trouble have it run at once."""
    interval, limit = redis.settings.health_interval, max(PROBE_TIMEOUT, redis.settings.timeout)
    probe = Probe("redis", redis.check, interval=interval, timeout=limit, clock=clock)
    redis.on_trouble(probe.poke)
    return probe


def _client(settings: RedisSettings) -> Client:
    """For pings. No retries and no greeting beyond AUTH: both would spend a deadline that is short on purpose."""
    with _without_opentelemetry():
        from redis.asyncio import BlockingConnectionPool  # noqa: PLC0415  (see the top)
        from redis.asyncio import Redis as Client  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

    limit = max(PROBE_TIMEOUT, settings.timeout)
    pool = BlockingConnectionPool.from_url(
        settings.url.reveal(),
        max_connections=1,
        timeout=limit,
        # None: each command has a deadline here. The library's own are `asyncio.wait_for`, which loses a cancellation
        # now and then before Python 3.12.
        socket_timeout=None,
        socket_connect_timeout=None,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        driver_info=None,
    )
    return Client.from_pool(pool)


async def _connected(settings: RedisSettings) -> AbstractConnection:
    connection = bare_connection(settings, protocol=2)
    try:
        await connection.connect()  # type: ignore[no-untyped-call]  # has no types
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


def bare_connection(settings: RedisSettings, *, protocol: int = 3) -> AbstractConnection:
    """One connection, not opened yet, for whoever must know when it is lost: nothing is retried or opened again.

    With RESP3, what is published and what is answered come in one order. Limits of time are the caller's:
    the library's own are `asyncio.wait_for`, which loses a cancellation now and then before Python 3.12.
    """
    with _without_opentelemetry():
        from redis.asyncio.connection import Connection, parse_url  # noqa: PLC0415  (see the top)
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415

    options: dict[str, Any] = {
        **parse_url(settings.url.reveal()),
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "retry": Retry(NoBackoff(), 0),
        "protocol": protocol,
        "driver_info": None,
    }
    kind: type[AbstractConnection] = options.pop("connection_class", Connection)
    return kind(**options)


@contextmanager
def _without_opentelemetry() -> Iterator[None]:
    """The library imports it wherever it is installed (50 ms, 3 MB), for numbers of its own that nobody asks for."""
    name = "opentelemetry"
    if name in sys.modules:  # traces are on
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # documented: importing it fails, as if it were not there
    try:
        yield
    finally:
        del sys.modules[name]


def _is_trouble(error: Exception) -> bool:
    """Redis did not answer, or can't do its work for now (loading, out of memory, a replica)."""
    from redis import exceptions  # noqa: PLC0415  (see the top)

    silent = (TimeoutError, OSError, exceptions.ConnectionError, exceptions.TimeoutError)
    return isinstance(error, (*silent, exceptions.ReadOnlyError, exceptions.OutOfMemoryError))
