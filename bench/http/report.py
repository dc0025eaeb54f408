"""What `make bench-http` prints: a table for each piece of work, medians with the least and the most of all repeats."""

from __future__ import annotations

from bench.figures import Part, Series, ratio
from bench.names import FASTAPI_ORM, FASTAPI_TUNED, RAW, WORK, cpu_of, latency_of

YARDSTICKS = {"ORM": FASTAPI_ORM, "tuned": FASTAPI_TUNED, "limit": RAW}
WIDE = 46


def report(part: Part) -> str:
    """The ratios are of requests a second, to the contestant that their column names."""
    tables = [_table(part, work) for work in WORK if any(part.get(name, work) for name in part.contestants)]
    return "\n\n".join([*tables, _memory(part)])


def _table(part: Part, work: str) -> str:
    head = f"{work:<{WIDE}} {'requests/s':>8} {'(min..max)':>16} {'p50':>6} {'p99':>6} {'CPU':>6} {'PG':>6}"
    lines = [head + "".join(f"{'x ' + title:>9}" for title in YARDSTICKS)]
    for name in part.contestants:
        series = part.get(name, work)
        if series is not None:
            lines.append(_line(part, work, series))
    return "\n".join([*lines, "p50 and p99 in ms; CPU of the server and of PostgreSQL in seconds for 1,000 requests"])


def _line(part: Part, work: str, series: Series) -> str:
    name = series.contestant
    spread = f"({series.least:,.0f}..{series.most:,.0f})"
    measures = {f"{work}: p50": 1, latency_of(work): 1, cpu_of(work): 3, f"{work}: CPU of PostgreSQL": 3}
    rest = "".join(f" {_median(part, name, measure):>6.{digits}f}" for measure, digits in measures.items())
    ratios = "".join(f"{_ratio(part, work, series, other):>9}" for other in YARDSTICKS.values())
    return f"{name:<{WIDE}} {series.median:>10,.0f} {spread:>16}{rest}{ratios}"


def _median(part: Part, name: str, measure: str) -> float:
    series = part.get(name, measure)
    return series.median if series else float("nan")


def _ratio(part: Part, work: str, series: Series, other: str) -> str:
    yardstick = part.get(other, work)
    return f"{ratio(series, yardstick).median:.2f}" if yardstick else ""


def _memory(part: Part) -> str:
    lines = [f"{'memory in MiB, all of its processes':<{WIDE}} {'idle':>10} {'after':>10}"]
    for name in part.contestants:
        idle, after = _median(part, name, "memory idle"), _median(part, name, "memory after")
        lines.append(f"{name:<{WIDE}} {idle:>10.0f} {after:>10.0f}")
    return "\n".join(lines)
