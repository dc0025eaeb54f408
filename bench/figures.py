"""What a measurement found, as data: each part of the bench keeps it, the report reads it.

A part is a module, or a package, that `python -m bench.PART` runs; it ends with `keep(Part(...))`.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec

from app.core.settings import PROJECT_ROOT
from bench.machine import Machine, commit, today

FOLDER = PROJECT_ROOT / ".local" / "bench" / "figures"
DIGITS = 5  # that count; no figure of these is better than that


@dataclass(frozen=True)
class Spread:
    """A median and how far the repeats went to both sides."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Series:
    """One figure of one contestant: a value for each repeat, in their order, so that those of one repeat pair up."""

    part: str
    contestant: str
    metric: str
    unit: str
    values: tuple[float, ...]
    more_is_better: bool

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        return min(self.values)

    @property
    def most(self) -> float:
        return max(self.values)


def ratio(ours: Series, theirs: Series) -> Spread:
    """How many times theirs ours is: the medians' ratio, and the least and the most of each repeat's own.

    Raises `ValueError` where they had different numbers of repeats.
    """
    pairs = [mine / other for mine, other in zip(ours.values, theirs.values, strict=True)]
    return Spread(ours.median / theirs.median, min(pairs), max(pairs))


@dataclass(frozen=True)
class Part:
    """What one part found, when, where, and on what terms (`{"clients": "1000"}`) and versions."""

    name: str
    series: tuple[Series, ...]
    versions: Mapping[str, str]
    terms: Mapping[str, str] = field(default_factory=dict)
    date: str = field(default_factory=today)
    commit: str = field(default_factory=commit)
    machine: Machine = field(default_factory=Machine.this)

    def get(self, contestant: str, metric: str) -> Series | None:
        """None where it was not measured."""
        return next((each for each in self.series if (each.contestant, each.metric) == (contestant, metric)), None)

    @property
    def contestants(self) -> list[str]:
        return list(dict.fromkeys(each.contestant for each in self.series))


def keep(part: Part, folder: Path = FOLDER) -> None:
    """Write it to `folder`, in place of what an earlier run of the same part has found."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{part.name}.json").write_text(dumped([part]))


def kept(folder: Path = FOLDER) -> dict[str, Part]:
    """What is there, by the parts' names."""
    found = [loaded(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return {name: part for each in found for name, part in each.items()}


def loaded(text: str) -> dict[str, Part]:
    """What `dumped` wrote. Raises `msgspec.DecodeError` for anything else."""
    return {part.name: part for part in msgspec.json.decode(text, type=list[Part])}


def dumped(parts: Iterable[Part]) -> str:
    """JSON with a line for each series, so that a new run can be compared with the one before."""
    return "[\n" + ",\n".join(map(_dumped, parts)) + "\n]\n"


def _dumped(part: Part) -> str:
    head = asdict(part)
    lines = ",\n".join(f"  {json.dumps(_rounded(each))}" for each in head.pop("series"))
    return f'{json.dumps(head)[:-1]}, "series": [\n{lines}\n]}}'


def _rounded(series: dict[str, object]) -> dict[str, object]:
    values = series["values"]
    assert isinstance(values, tuple)  # noqa: S101  (told to the type checker)
    return series | {"values": [float(f"{value:.{DIGITS}g}") for value in values]}
