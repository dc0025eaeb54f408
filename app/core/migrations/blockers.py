"""Who stands in the way of a revision that waits for a lock: seen from a second connection while it waits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.core.migrations.connection import Connection

LOOK_EVERY = 0.1  # seconds
SHOWN = 200  # characters of a query

WAITING = """
SELECT wait.mode, coalesce('table ' || wait.relation::regclass::text, wait.locktype) AS wanted,
       blocker AS pid, application_name, state, query,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds
FROM pg_locks AS wait
CROSS JOIN unnest(pg_blocking_pids(wait.pid)) AS blocker
LEFT JOIN pg_stat_activity AS activity ON activity.pid = blocker
WHERE wait.pid = $1 AND NOT wait.granted
"""

# Comments go, for tracing tools write values into them; quoted names stay. Any of them may lack its end,
# because PostgreSQL cuts a long query.
PIECES = re.compile(
    r"""(?P<name>"(?:[^"]|"")*(?:"|$))
      | (?P<comment>/\*.*?(?:\*/|$) | --[^\n]*)
      | \bE'(?:[^'\\]|\\.|'')*(?:'|$) | '(?:[^']|'')*(?:'|$)
      | \$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|$)
      | (?<![\w$."])\d[\w.]*""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


@dataclass(slots=True)
class Watch:
    """The last sight of what the revision waited for, and of whom."""

    wanted: str = ""
    blockers: dict[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        if not self.blockers:
            return "Who held it was gone before it could be seen."
        return f"It waited for {self.wanted}, held by:\n" + "\n".join(f"  {line}" for line in self.blockers.values())


@asynccontextmanager
async def watching(watch: Watch, connection: Connection, waiter: int) -> AsyncIterator[None]:
    """While the block runs, keep `watch` up to date with what backend `waiter` waits for."""
    looking = asyncio.create_task(_look(watch, connection, waiter))
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look(watch: Watch, connection: Connection, waiter: int) -> None:
    while True:
        if rows := await connection.fetch(WAITING, waiter):
            watch.wanted = f"{rows[0]['mode']} on {rows[0]['wanted']}"
            watch.blockers = {row["pid"]: describe(**row) for row in rows}
        await asyncio.sleep(LOOK_EVERY)


def describe(
    *,
    pid: int,
    application_name: str | None,
    state: str | None,
    seconds: float | None,
    query: str | None,
    **_lock: object,
) -> str:
    """One line on one session, without any value of its query."""
    if application_name is None:
        return "a prepared transaction (see pg_prepared_xacts)"
    since = f" for {seconds:.0f} s" if seconds is not None else ""
    name = application_name or "an unnamed application"
    return f"pid {pid}, {name}, {state or 'busy'}{since}: {without_values(query or '')}"


def without_values(query: str) -> str:
    """The query on one line with `?` for every literal, comments left out, cut short."""
    line = " ".join(PIECES.sub(_masked, query).split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}..."


def _masked(piece: re.Match[str]) -> str:
    return piece["name"] or ("" if piece["comment"] else "?")
