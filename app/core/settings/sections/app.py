"""Section `app`: the program as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import declare


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The program as a whole."""

    name: str = declare.name("plinth", 40, "Name of the program in log lines and in PostgreSQL's list of connections.")
    processes: int = declare.whole(
        2,
        1,
        1000,
        "How many processes share one database (servers and workers); times `database.pool_max`, it is "
        "held against the server's `max_connections` at start.",
    )
