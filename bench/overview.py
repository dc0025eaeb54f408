"""All targets in one table: what was promised, what was measured, and whether it is met."""

from __future__ import annotations

from bench.figures import Series, Spread
from bench.tables import Table, spread
from bench.targets import TARGETS, Parts, Target

HEAD = ("", "of", "beside", "target", "measured (least..most)", "")
WORDS = frozenset({0, 1, 2, 5})


def overview(parts: Parts) -> Table:
    return Table(HEAD, [_row(target, target.measured(parts)) for target in TARGETS], WORDS)


def _row(target: Target, found: Series | Spread | None) -> list[str]:
    unit = found.unit if isinstance(found, Series) else ""
    sign = "x" if target.theirs else f" {unit}".rstrip()
    bound = f"{'at least' if target.at_least else 'at most'} {target.bound:g}{sign}"
    return [target.metric, target.ours, target.theirs or "-", bound, spread(found, sign), _verdict(target, found)]


def _verdict(target: Target, found: Series | Spread | None) -> str:
    if found is None:
        return "not measured"
    return "met" if target.met(found) else "**missed**"


def sentence(parts: Parts) -> str:
    """How many targets are met, in one line."""
    found = [(target, target.measured(parts)) for target in TARGETS]
    measured = [(target, value) for target, value in found if value is not None]
    met = sum(target.met(value) for target, value in measured)
    missing = f"; {len(found) - len(measured)} not measured" if len(measured) < len(found) else ""
    return f"{met} of {len(measured)} targets met{missing}."
