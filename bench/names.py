"""What the contestants and the measures are called that several parts, the targets and the picture speak of."""

from __future__ import annotations

PLINTH = "Plinth on Hypercorn"
PLINTH_UVICORN = "Plinth on uvicorn"
FASTAPI_ORM = "FastAPI + SQLAlchemy on uvicorn"
LITESTAR = "Litestar + Advanced Alchemy on granian"
FASTAPI_TUNED = "FastAPI + asyncpg on uvicorn"
RAW = "raw ASGI + asyncpg on uvicorn"
STOCK = "Quart + databases on Hypercorn"
FASTAPI = "FastAPI on uvicorn"  # without a database: sockets

ENGINES = {PLINTH: "hypercorn", PLINTH_UVICORN: "uvicorn"}  # `server.engine`

# Of the part `http`, in requests a second ...
HEALTH = "/health/live"
ROUTE = "(a) a route without I/O"
READ = "(b) authenticated read of 20 rows"
WRITE = "(c) validated write with its event"
WORK = (HEALTH, ROUTE, READ, WRITE)
PER_SECOND = "requests/s"


def cpu_of(work: str) -> str:
    """The measure that says what `work` takes of the server's CPU: seconds for 1,000 requests."""
    return f"{work}: CPU"


def latency_of(work: str) -> str:
    """The measure that says how long a client waits for `work`: the p99 in ms."""
    return f"{work}: p99"
