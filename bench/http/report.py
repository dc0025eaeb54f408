"""What `make bench-http` prints: a table for each piece of work, and how many times the yardsticks' each figure is."""

from __future__ import annotations

from bench.figures import Part, ratio
from bench.names import FASTAPI_ORM, FASTAPI_TUNED, PER_SECOND, RAW, WORK, cpu_of, latency_of
from bench.tables import Table, number, spread, terms

YARDSTICKS = {"x ORM": FASTAPI_ORM, "x tuned": FASTAPI_TUNED, "x limit": RAW}
IDLE, AFTER = "memory idle", "memory after"


def postgres_cpu_of(work: str) -> str:
    """The measure that says what `work` takes of PostgreSQL's CPU: seconds for 1,000 requests."""
    return f"{work}: CPU of PostgreSQL"


def median_latency_of(work: str) -> str:
    """The measure that says how long a client waits for `work` as a rule, in ms."""
    return f"{work}: p50"


def report(part: Part) -> str:
    """The ratios are of requests a second; CPU is in seconds for 1,000 requests."""
    works = [work for work in WORK if any(part.get(name, work) for name in part.contestants)]
    return "\n\n".join([terms(part), *(table(part, work).text() for work in works), memory(part).text()])


def table(part: Part, work: str) -> Table:
    head = [work, PER_SECOND, "p50, ms", "p99, ms", "CPU, s", "of PostgreSQL, s", *YARDSTICKS]
    return Table(head, [_row(part, work, name) for name in part.contestants])


def _row(part: Part, work: str, name: str) -> list[str]:
    measures = (median_latency_of(work), latency_of(work), cpu_of(work), postgres_cpu_of(work))
    ratios = [_times(part, work, name, other) for other in YARDSTICKS.values()]
    return [name, spread(part.get(name, work)), *(_median(part, name, each) for each in measures), *ratios]


def memory(part: Part) -> Table:
    head = ["MiB of all its processes", "idle", "after the load"]
    return Table(head, [[name, _median(part, name, IDLE), _median(part, name, AFTER)] for name in part.contestants])


def _median(part: Part, name: str, measure: str) -> str:
    series = part.get(name, measure)
    return number(series.median) if series else "-"


def _times(part: Part, work: str, name: str, other: str) -> str:
    ours, theirs = part.get(name, work), part.get(other, work)
    return number(ratio(ours, theirs).median) if ours and theirs else "-"
