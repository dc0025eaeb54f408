"""What a part measures, and how its rounds become series."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.figures import Series

Round = Mapping[str, float]  # of one contestant, by the measures' keys


@dataclass(frozen=True)
class Measure:
    """One figure: the name and the unit that are shown, and the key that a round gives it by."""

    name: str
    key: str
    unit: str
    more_is_better: bool = False


def series_of(part: str, found: Mapping[str, Sequence[Round]], measures: Sequence[Measure]) -> tuple[Series, ...]:
    """Of every contestant and every measure that its rounds have."""
    return tuple(
        Series(part, name, each.name, each.unit, tuple(one[each.key] for one in rounds), each.more_is_better)
        for each in measures
        for name, rounds in found.items()
        if each.key in rounds[0]
    )


def turns(names: Sequence[str], number: int) -> list[str]:
    """The order in round `number`: each second one the other way around, so that nobody always comes last."""
    return list(names) if number % 2 == 0 else list(reversed(names))


def progress(text: str) -> None:
    """Say to whoever waits what has just been done."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201  (a program's progress)
