"""The clock, moved by the test, against the clock of a real database."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from app.core.clock import SystemClock
from app.doctor import Status
from app.doctor.checks.skew import clock
from tests.doctor.project import Project
from tests.harness.settings import TestSettings


class WrongClock(SystemClock):
    """The machine's own clock, set wrong."""

    def __init__(self, seconds: float) -> None:
        self._wrong = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._wrong


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        (0, Status.OK),
        (0.5, Status.OK),
        (-3, Status.WARNING),
        (3, Status.WARNING),
        (-40, Status.FAILED),
        (40, Status.FAILED),
    ],
)
async def test_clocks_apart(project: Project, settings: TestSettings, wrong: float, status: Status) -> None:
    project.use(settings)

    finding = await project.finding(clock, clock=WrongClock(wrong))
    [seconds] = re.findall(r"([\d.]+) s ", finding.seen)[:1]

    assert finding.status is status
    # A busy machine measures less exactly; how inexactly, the check knows and allows for.
    assert float(seconds) == pytest.approx(abs(wrong), abs=0.3)
    assert bool(finding.remedy) is (status is not Status.OK)


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        (-3, "s ahead: leases and short tokens will suffer"),
        (40, "s behind: tokens and leases end at the wrong time"),
        (3600 * 5, "the database's clock is 5 hours behind"),
        (-86400 * 9, "the database's clock is 9 days ahead"),
    ],
)
async def test_direction_and_size_are_told_in_words(
    project: Project, settings: TestSettings, wrong: float, seen: str
) -> None:
    project.use(settings)

    finding = await project.finding(clock, clock=WrongClock(wrong))

    assert seen in finding.seen
