"""The database's probe: one query on a connection of its own, so that a full pool is not mistaken for an outage."""

from __future__ import annotations

import asyncpg

from app.core.clock import Clock
from app.core.database.database import Database
from app.core.database.driver import RawConnection
from app.core.database.options import connect_options
from app.core.probe import Probe
from app.core.settings.sections import Database as DatabaseSettings


class DatabaseCheck:
    """Call it to check; it raises what went wrong, and opens a new connection the next time."""

    def __init__(self, settings: DatabaseSettings, *, application_name: str = "plinth") -> None:
        """Nothing is opened before the first call."""
        self._options = connect_options(settings, application_name=f"{application_name} probe")
        self._raw: RawConnection | None = None

    async def __call__(self) -> None:
        try:
            if self._raw is None or self._raw.is_closed():
                self._raw = await asyncpg.connect(**self._options)
            await self._raw.fetchval("SELECT 1")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """At once, and without a good-bye: a server that is stopped would not answer it."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.terminate()


def database_probe(database: Database, *, clock: Clock | None = None) -> Probe:
    """The probe behind readiness; a query that meets trouble has it run at once."""
    settings = database.settings
    check = DatabaseCheck(settings, application_name=database.application_name)
    probe = Probe(
        "database",
        check,
        interval=settings.health_interval,
        timeout=settings.health_timeout,
        clock=clock,
        close=check.close,
    )
    database.on_trouble(probe.poke)
    return probe
