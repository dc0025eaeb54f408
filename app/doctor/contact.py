"""One visit to the database: what answers there, whether it lets us in, and what it says about itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from app.core.clock import Clock
from app.core.settings import Settings
from app.core.settings.sections import Database
from app.doctor.once import resolve

if TYPE_CHECKING:
    import asyncpg

PATIENCE = 2.0  # seconds for each of the three steps: greeting, sign-in, questions
SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
SAMPLES = 3
OLDEST = 18  # uuidv7() came with it
WRONG_PASSWORD = "28P01"  # noqa: S105 - an error code of PostgreSQL


class Reply(Enum):
    """How far the visit got."""

    NO_HOST = "the host name is unknown"
    NOBODY = "nothing listens"
    UNREACHABLE = "no way there"
    SILENT = "it takes the connection and says nothing"
    STRANGER = "it is not PostgreSQL"
    TURNED_AWAY = "PostgreSQL said no"
    NO_TLS = "the encryption that was asked for is not to be had"
    TOO_OLD = "it let us in, but is older than the schema needs"
    LET_IN = "it let us in"


@dataclass(frozen=True)
class Contact:
    """`said` is the other side's own words; `sqlstate` PostgreSQL's code for them; `skew` its clock minus ours."""

    reply: Reply
    said: str = ""
    sqlstate: str = ""
    version: str = ""
    skew: float = 0.0
    doubt: float = 0.0
    revision: str | None = None


async def meet(settings: Settings | None, clock: Clock) -> Contact:
    """Never raises for what the other side does."""
    assert settings is not None  # noqa: S101 - checks that ask for the contact are skipped without settings
    database = settings.database
    return await _greet(database) or await _sign_in(database, clock)


async def _greet(database: Database) -> Contact | None:
    """Ask for encryption, the first thing a client may say: PostgreSQL answers with one letter and waits."""
    try:
        async with asyncio.timeout(PATIENCE), _stream(database) as (reader, writer):
            writer.write(SSL_REQUEST)
            await writer.drain()
            greeting = await reader.read(64)
    except socket.gaierror as error:
        return Contact(Reply.NO_HOST, error.strerror or "")
    except (ConnectionRefusedError, FileNotFoundError):
        return Contact(Reply.NOBODY)
    except TimeoutError:
        return Contact(Reply.SILENT)
    except ConnectionResetError:
        return Contact(Reply.STRANGER, "a program that hangs up at once")
    except OSError as error:
        return Contact(Reply.UNREACHABLE, error.strerror or str(error))
    return None if greeting in {b"S", b"N"} else Contact(Reply.STRANGER, recognise(greeting))


@asynccontextmanager
async def _stream(database: Database) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    if database.host.startswith("/"):
        reader, writer = await asyncio.open_unix_connection(f"{database.host}/.s.PGSQL.{database.port}")
    else:
        await resolve(database.host)
        reader, writer = await asyncio.open_connection(database.host, database.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def recognise(greeting: bytes) -> str:
    """What most likely answers like this."""
    if not greeting:
        return "a program that hangs up at once"
    if greeting[4:5] == b"\x0a":
        return "MySQL or MariaDB"
    known = {
        b"HTTP/": "an HTTP server",
        b"SSH-": "an SSH server",
        b"-ERR": "Redis",
        b"+": "Redis",
        b"220": "a mail or FTP server",
    }
    return next((name for start, name in known.items() if greeting.startswith(start)), "another program")


async def _sign_in(database: Database, clock: Clock) -> Contact:
    import asyncpg  # noqa: PLC0415 - a package that is missing must not keep the other checks from running

    try:
        async with asyncio.timeout(2 * PATIENCE):
            connection = await asyncpg.connect(**_login(database))
            try:
                contact = await _ask(connection, clock)
                await connection.close(timeout=PATIENCE)
            finally:
                connection.terminate()
            return contact
    except asyncpg.PostgresError as error:
        return Contact(Reply.TURNED_AWAY, str(error), error.sqlstate or "")
    except TimeoutError:
        return Contact(Reply.SILENT)
    except (OSError, asyncpg.InterfaceError, ValueError) as error:
        # ssl.SSLError is an OSError, and asyncpg reports a refused upgrade as ConnectionError.
        return Contact(Reply.NO_TLS if _about_tls(error) else Reply.UNREACHABLE, str(error))


def _login(database: Database) -> dict[str, Any]:
    return {
        "host": database.host,
        "port": database.port,
        "user": database.user,
        "password": database.password.reveal,  # a function: no text that a traceback could show
        "database": database.name,
        "ssl": str(database.sslmode),
        "timeout": PATIENCE,
        "command_timeout": PATIENCE,
        "server_settings": {"application_name": "plinth doctor"},
        "statement_cache_size": 0,
    }


def _about_tls(error: Exception) -> bool:
    return "SSL" in str(error) or "certificate" in str(error).lower()


async def _ask(connection: asyncpg.Connection, clock: Clock) -> Contact:
    from app.core.migrations.state import current_revision  # noqa: PLC0415 - as above

    server = connection.get_server_version()
    version = f"{server.major}.{server.micro}"  # since PostgreSQL 10 the second number counts fixes
    if server.major < OLDEST:
        return Contact(Reply.TOO_OLD, version=version)
    skew, doubt = await _skew(connection, clock)
    return Contact(
        Reply.LET_IN,
        version=version,
        skew=skew,
        doubt=doubt,
        revision=await current_revision(connection),
    )


async def _skew(connection: asyncpg.Connection, clock: Clock) -> tuple[float, float]:
    """Their clock minus ours at half of the round trip, and half of that trip: the shortest of a few counts."""
    samples = []
    for _ in range(SAMPLES):
        began, sent = clock.monotonic(), clock.now()
        theirs = await connection.fetchval("SELECT clock_timestamp()")
        half = (clock.monotonic() - began) / 2
        samples.append((half, (theirs - sent).total_seconds() - half))
    doubt, skew = min(samples)
    return skew, doubt
