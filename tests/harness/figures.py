"""Prints what tests have measured, at the end of the run, from whichever process measured it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from _pytest.terminal import TerminalReporter

NAME = "figure"


@pytest.fixture
def figure(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """`figure("image: 190 MB")` puts the line into the run's summary; a test of several engines says which it was."""
    callspec = getattr(request.node, "callspec", None)
    engine = callspec.params.get("engine") if callspec else None
    return lambda line: record_property(NAME, f"{line} ({engine})" if engine else line)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    properties = [pair for report in reports for pair in getattr(report, "user_properties", ())]
    if lines := sorted({str(line) for name, line in properties if name == NAME}):
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.line(line)
