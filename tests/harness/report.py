"""What a run says about itself at its end: where its time went, and whether anything ran at all."""

from __future__ import annotations

import statistics

import pytest
from _pytest.terminal import TerminalReporter

from tests.harness.run import Opened

RAN = ("passed", "failed", "error", "xfailed", "xpassed")


def nothing_ran(reporter: TerminalReporter) -> bool:
    return not any(reporter.stats.get(outcome) for outcome in RAN)


def lines(opened: Opened | None, clones: list[float]) -> list[str]:
    if opened is None:
        return ["not started: no test asked for them"]
    return [
        f"services ready in {opened.services_seconds:.2f} s, schema migrated in {opened.migrate_seconds:.2f} s",
        _clones(clones),
    ]


def _clones(seconds: list[float]) -> str:
    if not seconds:
        return "no test asked for a database"
    median, slowest = statistics.median(seconds) * 1000, max(seconds) * 1000
    return f"{len(seconds)} databases cloned: median {median:.0f} ms, slowest {slowest:.0f} ms"


def fail_an_empty_run(session: pytest.Session, reporter: TerminalReporter) -> None:
    """A run in which every test was skipped proves nothing, so it must not look like success."""
    if session.exitstatus == pytest.ExitCode.OK and nothing_ran(reporter):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
