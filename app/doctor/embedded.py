"""Finds the services that `make run` has started: they sit on ports of their own, not on those of the settings."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from app.core.settings import Environment, SecretUrl, Settings
from app.core.settings.sections import Database, Redis

LOOPBACK = "127.0.0.1"
DATA = Path(".local") / "postgres"
SOON = 0.5  # seconds


@dataclass(frozen=True)
class Embedded:
    """The sections of the settings as `app dev` fills them in."""

    database: Database
    redis: Redis


def find_embedded(root: Path, settings: Settings) -> Embedded | None:
    """None unless they run and the settings name no other database."""
    if settings.environment is Environment.PRODUCTION or database_is_chosen(settings):
        return None
    port = embedded_port(root)
    if port is None or not _listens(port):
        return None
    return Embedded(
        replace(settings.database, host=LOOPBACK, port=port),
        replace(settings.redis, url=_redis_url(root) or settings.redis.url),
    )


def database_is_chosen(settings: Settings) -> bool:
    """True where a person has said which database to use, so that it has to be there."""
    if settings.environment is Environment.PRODUCTION:
        return True
    return any(settings.origins.get(f"database.{part}") != "default" for part in ("host", "port"))


def redis_is_chosen(settings: Settings) -> bool:
    """True where a person has said which Redis to use."""
    return settings.environment is Environment.PRODUCTION or settings.origins.get("redis.url") != "default"


def embedded_port(root: Path) -> int | None:
    """The fourth line of the pid file; a leftover one names a port where nobody listens."""
    try:
        return int((root / DATA / "postmaster.pid").read_text().splitlines()[3])
    except (OSError, IndexError, ValueError):
        return None


def _redis_url(root: Path) -> SecretUrl | None:
    with suppress(OSError):
        lines = (root / ".local" / "redis" / "redis.conf").read_text().splitlines()
        found = [match for line in lines if (match := re.fullmatch(r"(port|requirepass) (\S+)", line))]
        options = {match[1]: match[2] for match in found}
        with suppress(KeyError):
            shown = f"redis://{LOOPBACK}:{options['port']}/0"
            return SecretUrl(f"redis://:{options['requirepass']}@{LOOPBACK}:{options['port']}/0", shown)
    return None


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=SOON).close()
    except OSError:
        return False
    return True
