"""In which order tests run, and on how many processes: every run another order, which its seed repeats."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId

MOST_WORKERS = 8
# Most tests wait: for a service to start, a container to stop, a fault to be noticed.
WORKERS_MORE_THAN_CORES = 2
# A module that breaks services of its own stays on one worker, so that they start once.
OWN_SERVICES = {"own_postgres", "own_redis"}


def pick_seed() -> str:
    return os.environ.get("PLINTH_TEST_SEED") or str(random.SystemRandom().randrange(10_000))


def shuffle(items: list[pytest.Item], seed: str) -> None:
    """Shuffle modules, and tests inside each: its fixtures are still made once."""
    modules: dict[Path, list[pytest.Item]] = defaultdict(list)
    for item in items:
        modules[item.path].append(item)
    dice = random.Random(seed)  # noqa: S311  (no secret: two runs with one seed must agree)
    groups = dice.sample(list(modules.values()), len(modules))
    items[:] = [item for group in groups for item in dice.sample(group, len(group))]


def keep_together(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and OWN_SERVICES & set(item.fixturenames):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


def longest_first(items: list[pytest.Item]) -> None:
    """Begin with what stays on one worker, and first of all with what needs the most time: begun last, it would be
    waited for by everybody. What runs alone comes later, as all others wait meanwhile for the longest of them."""
    most: dict[str, float] = defaultdict(float)
    alone: dict[str, bool] = defaultdict(bool)
    for item in items:
        most[_group(item)] = max(most[_group(item)], _own_limit(item))
        alone[_group(item)] |= runs_alone(item)
    items.sort(key=lambda item: (_group(item) == item.nodeid, alone[_group(item)], -most[_group(item)]))


def tell_xdist(items: list[pytest.Item]) -> None:
    """Write each test's group behind its id, where xdist looks for it.

    xdist 3.8 writes it itself, but into an attribute that pytest 9.2 no longer reads (pytest-xdist issue 1386), and
    then spreads the tests of a group over all workers without a word.
    """
    for item in items:
        if (group := _group(item)) != item.nodeid:
            item._id = NodeId.parse(f"{item.nodeid}@{group}")


def runs_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    return str(marker.args[0]) if marker else item.nodeid


def _own_limit(item: pytest.Item) -> float:
    """Seconds that a test asks for beyond the usual ones, which tells how long it may take."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


def worker_count(config: pytest.Config) -> int | None:
    """None leaves it to xdist, which reads PYTEST_XDIST_AUTO_NUM_WORKERS; 0 runs in this process."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    one_test = len(config.args) == 1 and "::" in config.args[0]
    return 0 if one_test else min(MOST_WORKERS, (os.cpu_count() or 1) + WORKERS_MORE_THAN_CORES)
