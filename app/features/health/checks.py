"""What readiness depends on, each as one function from the open resources to a reason or none."""

from __future__ import annotations

from collections.abc import Callable

from app.core.probe import Probe
from app.core.resources import Resources
from app.tasks.worker import Worker

Check = Callable[[Resources], str | None]

# The share of `database.acquire_timeout` after which a waiting query says that the pool is saturated.
SATURATED_AFTER = 0.5


def _failed(probe: Probe) -> str | None:
    return None if probe.result.ok else probe.result.reason


def database(resources: Resources) -> str | None:
    """The last probe on the pool's server."""
    return _failed(resources.database_probe)


def migrations(resources: Resources) -> str | None:
    """The schema is the one this code was written for."""
    return _failed(resources.schema_probe)


def redis(resources: Resources) -> str | None:
    """The last ping."""
    return _failed(resources.redis_probe)


def pool(resources: Resources) -> str | None:
    """A query that waits long for a connection means that more work would only wait longer."""
    stats = resources.database.stats()
    limit = resources.settings.database.acquire_timeout * SATURATED_AFTER
    if stats.oldest_wait < limit:
        return None
    return f"all {stats.in_use} connections are in use and a query has waited {stats.oldest_wait:.1f} s"


def draining(resources: Resources) -> str | None:
    """A process that was told to stop takes no new work."""
    return "the process is stopping" if resources.lifecycle.draining else None


def worker(of_this_process: Worker) -> str | None:
    """Where tasks are done, too: the queue answers."""
    return of_this_process.silence


CHECKS: dict[str, Check] = {
    "database": database,
    "migrations": migrations,
    "redis": redis,
    "pool": pool,
    "draining": draining,
}

# Redis speeds things up and carries news; requests are answered without it, so its loss takes no process
# out of the balancer. It is still told here, and `/health` answers 503 (docs/decisions/0003).
OPTIONAL = frozenset({"redis"})
