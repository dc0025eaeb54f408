"""Section `app`."""

from __future__ import annotations

from structlog.testing import capture_logs

from app.core.lifecycle import Lifecycle
from app.core.resources import open_resources
from tests.effects.case import Trial, shows


@shows("app.name", {"shop": "shop", "depot": "depot"})
async def the_name_of_its_sessions(trial: Trial) -> str:
    async with open_resources(trial.settings(), Lifecycle()) as resources:
        name = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        return str(await resources.database.fetch_val(name))


@shows("app.processes", {"500": 500 * 11, "1000": 1000 * 11})
async def the_start_warns_of_as_many_connections(trial: Trial) -> int:
    with capture_logs() as logs:
        async with open_resources(trial.settings("database.pool_max=10"), Lifecycle()):
            pass
    (warning,) = (line for line in logs if line["event"] == "database_connections_short")
    return int(warning["needed"])
