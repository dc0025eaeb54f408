"""Which bars the picture of docs/benchmarks.md has: requests a second, and every ratio beside its target."""

from __future__ import annotations

from collections.abc import Iterator

from bench.drawing import Bar, Chart, drawn
from bench.names import ENGINES, READ, ROUTE, WRITE
from bench.tables import number
from bench.targets import TARGETS, Parts, Target

TITLE = "What make bench found: requests a second, and how Plinth compares with its targets"


def picture(parts: Parts) -> str:
    """An SVG."""
    return drawn([*_requests(parts), *_ratios(parts)], title=TITLE)


def _requests(parts: Parts) -> Iterator[Chart]:
    every = parts["http"].series if "http" in parts else ()
    for work in (ROUTE, READ, WRITE):
        found = sorted((each for each in every if each.metric == work), key=lambda each: -each.median)
        bars = [Bar(each.contestant, each, each.contestant in ENGINES, number(each.median)) for each in found]
        if bars:
            yield Chart(f"{work}: requests a second", "Medians; the whiskers are the least and the most.", bars)


def _ratios(parts: Parts) -> Iterator[Chart]:
    for part, title, note in (
        ("http", "Requests a second, times those of the other", "Each bar is to pass its red line, the target."),
        ("tasks", "Tasks a second, times those of the other", "Each bar is to pass its red line, the target."),
        ("sockets", "Time of a broadcast, times that of the other", "No bar is to pass its red line, the target."),
    ):
        targets = [each for each in TARGETS if each.theirs and each.part == part]
        if bars := [bar for target in targets for bar in _ratio(target, parts)]:
            yield Chart(title, note, bars)


def _ratio(target: Target, parts: Parts) -> Iterator[Bar]:
    if found := target.measured(parts):
        words = f"{number(found.median)}x, target {target.bound:g}x"
        yield Bar(_name(target), found, ours=True, words=words, bound=target.bound)


def _name(target: Target) -> str:
    """`(b) Plinth on uvicorn / FastAPI + asyncpg`."""
    work = target.metric.split(" ")[0].removeprefix("/health/") if target.part == "http" else ""
    theirs = target.theirs.replace(" on uvicorn", "").replace(" on granian", "").replace("Advanced Alchemy", "AA")
    return f"{work} {target.ours} / {theirs}".strip()
