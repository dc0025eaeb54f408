"""Section `redis`: the Redis that may be lost without the service going down."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import declare
from app.core.settings.secret import SecretUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """The Redis that may be lost without the service going down."""

    url: SecretUrl = declare.redis_url("redis://127.0.0.1:6379/0", "Where Redis is; may hold a user and a password.")
    timeout: float = declare.seconds(0.05, 0.005, 60, "How long a request waits for Redis before it goes on without.")
    pool_max: int = declare.whole(
        50,
        1,
        10000,
        "Most connections one process opens to Redis for commands; another one is opened where 32 are under way.",
    )
    health_interval: float = declare.seconds(0.5, 0.05, 300, "Time between two probes of Redis.")
