"""Tells 'the database did not answer' from 'the database said no'."""

from __future__ import annotations

import asyncpg

from app.core.database.errors import ConnectionTrouble, QueryTimeout

# What an outage looks like, as seen by killing, restarting and stopping servers under load.
_ALWAYS = (
    OSError,  # refused, reset, unreachable, name not resolved
    asyncpg.PostgresConnectionError,  # 08xxx, 08003 among them: closed in the middle of a query
    asyncpg.InternalClientError,  # the protocol was cut between two messages
    asyncpg.InsufficientResourcesError,  # 53xxx: too many connections, disk full, out of memory
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
)


def trouble(error: Exception, *, gone: bool) -> ConnectionTrouble | None:
    """The trouble behind a driver's error, or None where the server answered.

    An `InterfaceError` is a mistake in the program unless the connection is `gone`.
    """
    if isinstance(error, TimeoutError):
        return QueryTimeout("the database did not answer within database.command_timeout")
    if isinstance(error, _ALWAYS) or (gone and isinstance(error, asyncpg.InterfaceError)):
        return ConnectionTrouble(f"the connection to the database failed ({type(error).__name__})")
    return None
