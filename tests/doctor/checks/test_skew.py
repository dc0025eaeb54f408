"""The clock, moved by the test, against the clock of a real database."""

from __future__ import annotations

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
    ("wrong", "status", "seen"),
    [
        (0, Status.OK, "between this machine and the database"),
        (0.5, Status.OK, "0.50"),
        (-3, Status.WARNING, "the database's clock is 3.0 s ahead"),
        (3, Status.WARNING, "the database's clock is 3.0 s behind"),
        (-40, Status.FAILED, "the database's clock is 40.0 s ahead"),
        (3600 * 5, Status.FAILED, "the database's clock is 5 hours behind"),
        (86400 * 9, Status.FAILED, "the database's clock is 9 days behind"),
    ],
)
async def test_clocks_apart(project: Project, settings: TestSettings, wrong: float, status: Status, seen: str) -> None:
    project.use(settings)

    finding = await project.finding(clock, clock=WrongClock(wrong))

    assert finding.status is status
    assert seen in finding.seen
    assert bool(finding.remedy) is (status is not Status.OK)
