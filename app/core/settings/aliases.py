"""The conventional names of environment variables, in one table.

A name that belongs to a section whose keys are still to come is recognised and reported, never refused:
it is in many an `.env` already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .kinds.choices import FALSE, TRUE


def _same(text: str) -> str:
    return text


def _ssl_mode(text: str) -> str:
    word = text.lower()
    return "require" if word in TRUE else "disable" if word in FALSE else text


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name for the variable of `key`; `reads` turns the text into what the key takes."""

    key: str
    reads: Callable[[str], str] = _same


ALIASES: Mapping[str, Alias] = MappingProxyType(
    {
        "DATABASE_URL": Alias("database.url"),
        "DATABASE_MAX_CONNECTIONS": Alias("database.pool_max"),
        "DB_HOST": Alias("database.host"),
        "DB_PORT": Alias("database.port"),
        "DB_NAME": Alias("database.name"),
        "DB_USER": Alias("database.user"),
        "DB_PASSWORD": Alias("database.password"),
        "DB_SSL": Alias("database.sslmode", _ssl_mode),
        "REDIS_URL": Alias("redis.url"),
        "SERVER_HOST": Alias("server.host"),
        "HOST": Alias("server.host"),
        "SERVER_PORT": Alias("server.port"),
        "PORT": Alias("server.port"),
        "CORS_ORIGINS": Alias("server.cors_origins"),
        "REQUEST_TIMEOUT_SECS": Alias("server.request_timeout"),
        "SHUTDOWN_TIMEOUT_SECS": Alias("server.shutdown_timeout"),
        "LOG_LEVEL": Alias("log.level"),
        "ZITADEL_AUTHORITY": Alias("oidc.issuer"),
        "ZITADEL_CLIENT_ID": Alias("oidc.client_id"),
        "ZITADEL_AUDIENCE": Alias("oidc.audience"),
    }
)

# The section that will read each of these.
UNREAD: Mapping[str, str] = MappingProxyType(
    {
        "OPENAI_API_KEY": "ai",
        "ANTHROPIC_API_KEY": "ai",
        "AI_PRIMARY_PROVIDER": "ai",
        "AI_FALLBACK_PROVIDER": "ai",
        "STRIPE_API_KEY": "payment",
        "STRIPE_WEBHOOK_SECRET": "payment",
        "RESEND_API_KEY": "email",
    }
)
