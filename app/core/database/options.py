"""The settings in asyncpg's words, every option explicit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from app.core.database.driver import SessionConnection
from app.core.database.tls import tls
from app.core.settings.sections import Database as DatabaseSettings
from app.core.settings.sections import PoolerMode


def address(settings: DatabaseSettings) -> str:
    """Where the database is, for people and logs; never the password."""
    host = quote(settings.host, safe="") if "/" in settings.host else settings.host
    host = f"[{host}]" if ":" in host else host
    return f"postgresql://{quote(settings.user, safe='')}@{host}:{settings.port}/{quote(settings.name, safe='')}"


def connect_options(settings: DatabaseSettings, *, application_name: str) -> dict[str, Any]:
    """For one connection."""
    pooled = settings.pooler_mode is PoolerMode.TRANSACTION
    return {
        "host": settings.host,
        "port": settings.port,
        "user": settings.user,
        "password": settings.password.reveal,  # a function: no text that a repr or a traceback could show
        "database": settings.name,
        "ssl": tls(settings.sslmode),
        "timeout": settings.connect_timeout,
        "command_timeout": settings.command_timeout,
        # A pooler may give every transaction another server, which does not know what the last one prepared.
        "statement_cache_size": 0 if pooled else 256,
        "server_settings": {"application_name": application_name, "timezone": "UTC"}
        | ({} if pooled else limits(settings)),
    }


def limits(settings: DatabaseSettings) -> dict[str, str]:
    """The server's own limits, in its unit, milliseconds."""
    seconds = {
        "statement_timeout": settings.statement_timeout,
        "lock_timeout": settings.lock_timeout,
        "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout,
    }
    return {name: str(max(1, round(value * 1000))) for name, value in seconds.items()}


def transaction_settings(settings: DatabaseSettings) -> str:
    """Behind a transaction pooler the limits can't belong to the session, so each transaction sets its own."""
    if settings.pooler_mode is not PoolerMode.TRANSACTION:
        return ""
    return "".join(f"; SET LOCAL {name} = {value}" for name, value in limits(settings).items())


def pool_options(
    settings: DatabaseSettings, *, application_name: str, connect: Callable[..., Awaitable[Any]]
) -> dict[str, Any]:
    return connect_options(settings, application_name=application_name) | {
        "min_size": min(settings.pool_min, settings.pool_max),
        "max_size": settings.pool_max,
        "max_inactive_connection_lifetime": settings.idle_timeout,
        "connect": connect,
        "connection_class": SessionConnection,
    }
