"""Who gets a socket: everything that is asked of a handshake before it is accepted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from quart import Websocket

from app.core.customers import customer
from app.core.errors import AppError, RateLimited, RequestTimeout, ServiceUnavailable
from app.core.settings.sections import WebSocket
from app.web.application import Gate
from app.web.endpoint import Endpoint
from app.web.exchange import exchange_of
from app.web.origins import ForeignOrigin, Origins

Leave = Callable[[], None]

RETRY_AFTER = 5  # seconds; a place becomes free when somebody leaves, whenever that is


class ProcessFull(ServiceUnavailable):
    """There is no room for another socket; please try again shortly."""


class AddressFull(RateLimited):
    """Too many sockets are open from this address."""


class UserFull(RateLimited):
    """Too many sockets of this user are open."""


# How the numbers call these refusals; any other is called by its code.
REASONS: Mapping[type[AppError], str] = {
    ProcessFull: "process",
    AddressFull: "address",
    UserFull: "user",
    ForeignOrigin: "origin",
}


class Places:
    """So many for each key. One is taken before anything is awaited, so that no crowd gets past the count."""

    def __init__(self, most: int, refusal: type[AppError]) -> None:
        self.most = most
        self.refusal = refusal
        self.taken: Counter[str] = Counter()

    def take(self, key: str) -> Leave:
        """A place, and what gives it back. Raises the refusal where there is none."""
        if self.taken[key] >= self.most:
            raise self.refusal(retry_after=RETRY_AFTER)
        self.taken[key] += 1
        return partial(self._leave, key)

    def _leave(self, key: str) -> None:
        self.taken[key] -= 1
        if not self.taken[key]:
            del self.taken[key]


class Admission:
    """Holds a handshake to the limits, to the origins and to the policy of its route, and the socket to its place.

    What costs least comes first, so that a crowd is turned away before anybody is asked who it is. Handshakes take
    their places before that question, too: else a slow answer to it would let any number of them wait.
    """

    def __init__(self, settings: WebSocket, *, origins: Origins, gate: Gate[Websocket], timeout: float) -> None:
        """`gate` asks who calls, and counts; `timeout` is in seconds, where the policy says nothing else."""
        self.process = Places(settings.max_connections, ProcessFull)
        self.addresses = Places(settings.max_per_address, AddressFull)
        self.users = Places(settings.max_per_user, UserFull)
        self.origins = origins
        self.gate = gate
        self.timeout = timeout

    @asynccontextmanager
    async def __call__(self, handshake: Websocket, endpoint: Endpoint) -> AsyncIterator[None]:
        """The handler runs inside. Raises the `AppError` that refuses the handshake."""
        places: list[Leave] = []
        try:
            await self._admit(handshake, endpoint, places)
            yield
        except AppError as error:  # also of a handler that wants no socket
            exchange_of(handshake.scope).refuse(error.code, REASONS.get(type(error)))
            raise
        finally:
            for leave in places:
                leave()

    async def _admit(self, handshake: Websocket, endpoint: Endpoint, places: list[Leave]) -> None:
        exchange = exchange_of(handshake.scope)
        places.append(self.process.take("all"))
        places.append(self.addresses.take(customer(exchange.client)))
        self.origins.check(handshake)
        await self._ask(handshake, endpoint)
        if exchange.caller:
            places.append(self.users.take(exchange.caller.id))

    async def _ask(self, handshake: Websocket, endpoint: Endpoint) -> None:
        try:
            async with asyncio.timeout(endpoint.policy.timeout or self.timeout):
                await self.gate(handshake, endpoint)
        except TimeoutError as error:
            raise RequestTimeout from error
