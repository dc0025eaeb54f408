"""What a measurement found survives being written and read, and its ratios are those of the repeats."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from bench.figures import DIGITS, Part, Series, Spread, dumped, keep, kept, loaded, ratio
from bench.machine import Machine

HERE = Machine(cores=2, memory=24, cpu="A CPU", system="Linux")
VALUES = some.floats(min_value=0.001, max_value=1e6)


def series(*values: float, contestant: str = "ours", metric: str = "speed") -> Series:
    return Series("http", contestant, metric, "requests/s", values, more_is_better=True)


def part(*found: Series, name: str = "http") -> Part:
    return Part(name, found, {"Python": "3.11"}, {"repeats": "3"}, date="2026-01-02", commit="abc", machine=HERE)


def test_what_is_written_is_read_again() -> None:
    first, second = part(series(1.0, 2.5, 3.0), series(4.0, 5.0, 6.0, contestant="other")), part(name="tasks")

    assert loaded(dumped([first, second])) == {"http": first, "tasks": second}


def test_a_part_that_is_kept_takes_the_place_of_its_earlier_run(tmp_path: Path) -> None:
    keep(part(series(1.0)), tmp_path)
    keep(part(series(9.0), name="tasks"), tmp_path)

    keep(part(series(2.0)), tmp_path)

    assert {name: each.series[0].values for name, each in kept(tmp_path).items()} == {"http": (2.0,), "tasks": (9.0,)}


def test_something_else_is_not_read_as_figures() -> None:
    with pytest.raises(msgspec.DecodeError):
        loaded('[{"name": "http"}]')


def test_each_series_has_a_line_of_its_own_and_no_more_digits_than_it_deserves() -> None:
    text = dumped([part(series(1 / 3, 2 / 3), series(123456.789, contestant="other"))])

    lines = [line for line in text.splitlines() if "contestant" in line]
    assert len(lines) == 2
    assert f"[{1 / 3:.{DIGITS}f}, {2 / 3:.{DIGITS}f}]" in lines[0]
    assert "123460.0" in lines[1]


def test_a_ratio_pairs_what_was_measured_in_the_same_repeat() -> None:
    ours, theirs = series(10.0, 40.0, 20.0), series(5.0, 10.0, 20.0, contestant="theirs")

    assert ratio(ours, theirs) == Spread(median=2.0, least=1.0, most=4.0)


def test_contestants_of_different_repeats_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratio(series(1.0, 2.0), series(1.0))


@given(some.lists(some.tuples(VALUES, VALUES), min_size=1, max_size=9))
def test_the_ratio_of_the_medians_lies_between_those_of_the_repeats(pairs: list[tuple[float, float]]) -> None:
    found = ratio(series(*(ours for ours, _ in pairs)), series(*(theirs for _, theirs in pairs)))

    assert found.least <= found.median * (1 + 1e-9)
    assert found.median <= found.most * (1 + 1e-9)


def test_a_contestant_is_found_by_its_measure_and_else_not() -> None:
    fast = series(1.0)

    assert part(fast).get("ours", "speed") is fast
    assert part(fast).get("ours", "memory") is None
    assert part(fast).get("theirs", "speed") is None
