"""What a run says about itself at its end: where its time went, and whether anything ran at all."""

from __future__ import annotations

import statistics

import pytest
from _pytest.terminal import TerminalReporter

from tests.harness.run import Opened

RAN = ("passed", "failed", "error", "xfailed", "xpassed")


def nothing_ran(reporter: TerminalReporter) -> bool:
    return not any(reporter.stats.get(outcome) for outcome in RAN)


def lines(opened: Opened | None, clones: list[list[float]]) -> list[str]:
    """`clones` has one list for each process: the seconds that each of its databases took."""
    if opened is None:
        return ["not started: no test asked for them"]
    return [
        f"services ready in {opened.services_seconds:.2f} s, schema migrated in {opened.migrate_seconds:.2f} s",
        _clones([first for first, *_ in clones], [second for _, *rest in clones for second in rest]),
    ]


def _clones(firsts: list[float], others: list[float]) -> str:
    """The first of a process pays for connecting, so it is shown by itself."""
    text = f"{len(firsts) + len(others)} databases cloned"
    if firsts:
        text += f"; the first of a process in {max(firsts) * 1000:.0f} ms"
    if others:
        text += f", then median {statistics.median(others) * 1000:.0f} ms, slowest {max(others) * 1000:.0f} ms"
    return text


def fail_an_empty_run(session: pytest.Session, reporter: TerminalReporter) -> None:
    """A run in which every test was skipped proves nothing, so it must not look like success."""
    if session.exitstatus == pytest.ExitCode.OK and nothing_ran(reporter):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
