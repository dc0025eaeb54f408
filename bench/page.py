"""The generated part of docs/benchmarks.md: the overview, and a table for each part with its terms and versions."""

from __future__ import annotations

from collections.abc import Iterator

from bench.figures import Part, ratio
from bench.names import FASTAPI_ORM, FASTAPI_TUNED, WORK, cpu_of, latency_of
from bench.overview import overview, sentence
from bench.parts import PARTS
from bench.tables import Table, spread, table_of, terms
from bench.targets import Parts

BEGIN, END = "<!-- what `make bench` found: written by it -->", "<!-- until here -->"
TITLES = {
    "http": "HTTP",
    "sockets": "Sockets",
    "tasks": "Tasks",
    "startup": "Start and idle memory",
    "templates": "Databases for tests",
}
YARDSTICKS = {"x FastAPI + ORM": FASTAPI_ORM, "x FastAPI, tuned": FASTAPI_TUNED}


def generated(parts: Parts) -> str:
    sections = [f"## Targets\n\n{overview(parts).markdown()}\n\n{sentence(parts)}"]
    sections += [_section(parts[name]) for name in PARTS if name in parts]
    return "\n\n".join(sections)


def replaced(page: str, text: str) -> str:
    """`page` with `text` between its two marks. Raises `ValueError` where one is missing."""
    before, began, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (began and ended):
        raise ValueError("The page does not have both marks.")
    return f"{before}{began}\n\n{text}\n\n{ended}{after}"


def between(page: str) -> str:
    """What stands between the marks."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def _section(part: Part) -> str:
    table = http_table(part) if part.name == "http" else table_of(part)
    versions = ", ".join(f"{name} {version}" for name, version in part.versions.items())
    return f"## {TITLES[part.name]}\n\n{_capital(terms(part))}.\n\n{table.markdown()}\n\nVersions: {versions}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def http_table(part: Part) -> Table:
    """A group of rows for each piece of work, and one for memory."""
    head = ["", "requests/s", *YARDSTICKS, "p99, ms", "CPU, s per 1,000", "CPU of PostgreSQL"]
    rows: list[list[str]] = []
    for work in WORK:
        if lines := list(_of_work(part, work)):
            rows += [_heading(work, len(head)), *lines]
    empty = [""] * (len(head) - 3)
    rows.append(["**memory, MiB**", "idle", "after", *empty])
    for who in part.contestants:
        rows.append([who, *(spread(part.get(who, f"memory {when}")) for when in ("idle", "after")), *empty])
    return Table(head, rows)


def _heading(text: str, columns: int) -> list[str]:
    return [f"**{text}**", *[""] * (columns - 1)]


def _of_work(part: Part, work: str) -> Iterator[list[str]]:
    for who in part.contestants:
        found = part.get(who, work)
        if found is None:
            continue
        yardsticks = [part.get(other, work) for other in YARDSTICKS.values()]
        ratios = [spread(ratio(found, other)) if other and other is not found else "" for other in yardsticks]
        rest = (latency_of(work), cpu_of(work), f"{work}: CPU of PostgreSQL")
        yield [who, spread(found), *ratios, *(spread(part.get(who, metric)) for metric in rest)]
