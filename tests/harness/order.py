"""In which order tests run, and on how many processes: every run another order, which its seed repeats."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from pathlib import Path

import pytest

MOST_WORKERS = 8
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


def worker_count(config: pytest.Config) -> int | None:
    """None leaves it to xdist, which reads PYTEST_XDIST_AUTO_NUM_WORKERS; 0 runs in this process."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    one_test = len(config.args) == 1 and "::" in config.args[0]
    return 0 if one_test else min(MOST_WORKERS, max(2, os.cpu_count() or 2))
