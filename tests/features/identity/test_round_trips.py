"""What it costs to find out who calls: one statement and one round trip, whatever was shown."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from quart import Quart, request

from app.core.database import Database
from app.core.errors import Unauthorized
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.features.identity.authentication import authenticate
from tests.features.identity.people import COOKIE, Person, make_person, open_session
from tests.features.identity.programs import bearing, issued, resources_of
from tests.harness.proxy import Proxy
from tests.harness.settings import TestSettings

SYNC = b"S\x00\x00\x00\x04"  # ends what a client sends before it waits; the server never says it
READS = 20


class Wire(Proxy):
    """The way to the database; counts how often somebody has waited for an answer."""

    waits = 0

    async def _pass_on(self, reader: StreamReader, writer: StreamWriter) -> None:
        write = writer.write

        def counted(data: bytes | bytearray | memoryview) -> None:
            self.waits += bytes(data).count(SYNC)
            write(data)

        writer.write = counted  # type: ignore[method-assign]
        await super()._pass_on(reader, writer)


class Statements:
    """Remembers the names of all statements."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def acquired(self, seconds: float) -> None: ...

    def queried(self, name: str, outcome: str, seconds: float) -> None:  # noqa: ARG002  (the observer's own signature)
        self.names.append(name)


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    to = urlsplit(database_url)
    wire = Wire(to.hostname or "", to.port or 5432)
    server = await asyncio.start_server(wire._link, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    yield wire
    server.close()
    wire.cut()


@pytest.fixture
async def resources(settings: TestSettings, database_url: str, wire: Wire) -> AsyncIterator[Resources]:
    """Everything open, the database through the wire, and no probe that asks it meanwhile."""
    chosen = settings(
        f"database.url={wire.url(database_url)}",
        "database.health_interval=300",
        "database.pool_min=1",
        "database.pool_max=1",
    )
    async with open_resources(chosen, Lifecycle()) as opened:
        yield opened


async def cost_of(resources: Resources, wire: Wire, headers: dict[str, str]) -> tuple[list[str], float]:
    """The statements of one read, and its round trips, once the connection knows the statement."""
    app, seen = Quart(__name__), Statements()

    async def read() -> None:
        async with app.test_request_context("/", headers=headers):
            assert await authenticate(request._get_current_object(), resources)  # type: ignore[attr-defined]

    await read()
    resources.database.observer, waits = seen, wire.waits
    for _ in range(READS):
        await read()
    assert len(seen.names) % READS == 0
    return seen.names[: len(seen.names) // READS], (wire.waits - waits) / READS


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db)


async def test_a_session_costs_one_round_trip(resources: Resources, wire: Wire, db: Database, ada: Person) -> None:
    cookie, _ = await open_session(db, ada)

    cost = await cost_of(resources, wire, {"Cookie": f"{COOKIE}={cookie}"})

    assert cost == (["select_session"], 1)


async def test_a_session_that_is_noted_as_seen_costs_one_round_trip(
    resources: Resources, wire: Wire, db: Database, ada: Person
) -> None:
    cookie, _ = await open_session(db, ada)
    headers = {"Cookie": f"{COOKIE}={cookie}"}
    await cost_of(resources, wire, headers)
    await db.execute("UPDATE sessions SET last_seen_at = now() - interval '2 minutes'")
    waits = wire.waits

    async with Quart(__name__).test_request_context("/", headers=headers):
        await authenticate(request._get_current_object(), resources)  # type: ignore[attr-defined]

    assert wire.waits - waits == 1
    assert await db.fetch_val("SELECT last_seen_at > now() - interval '1 minute' FROM sessions")


@pytest.fixture
async def access_token(settings: TestSettings, ada: Person) -> str:
    async with resources_of(settings()) as elsewhere:  # its events would be counted here
        return (await issued(elsewhere, ada)).access_token


async def test_an_access_token_costs_one_round_trip(resources: Resources, wire: Wire, access_token: str) -> None:
    cost = await cost_of(resources, wire, bearing(access_token))

    assert cost == (["select_bearer"], 1)


async def test_a_forged_token_costs_no_round_trip_at_all(resources: Resources, wire: Wire, access_token: str) -> None:
    waits, forged = wire.waits, access_token[:-43] + "A" * 43

    async with Quart(__name__).test_request_context("/", headers=bearing(forged)):
        with pytest.raises(Unauthorized):
            await authenticate(request._get_current_object(), resources)  # type: ignore[attr-defined]

    assert wire.waits == waits
