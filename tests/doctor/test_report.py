"""How findings look on a terminal and to a program."""

from __future__ import annotations

import json

import click

from app.doctor import Finding, Status, as_json, as_text
from app.doctor.finding import failed, ok, skipped, warning

LONG = "word " * 40
COMMAND = "echo " + "x" * 100
FINDINGS = [
    failed("server-port", "taken", "kill 42", COMMAND),
    ok("disk", LONG),
    warning("engine", "none", "sudo systemctl start docker"),
    skipped("compose", "there is no Docker client"),
]


def text(findings: list[Finding] = FINDINGS) -> str:
    return click.unstyle(as_text(findings, seconds=1.25, width=60))


def test_what_needs_action_stands_last() -> None:
    marks = [line[:4] for line in text().splitlines() if line[:4].strip()]

    assert marks[:4] == ["ok  ", "skip", "WARN", "FAIL"]


def test_remedies_stand_on_lines_of_their_own_and_are_never_wrapped() -> None:
    lines = text().splitlines()

    assert f"$ {COMMAND}" in [line.strip() for line in lines]
    assert lines[-3].index("$") == lines[-4].index("$") > len("FAIL  server-port")


def test_long_sentences_are_wrapped_under_their_beginning() -> None:
    lines = [line for line in text().splitlines() if "word" in line]

    assert len(lines) > 1
    assert all(len(line) <= 60 for line in lines)
    assert {line.index("word") for line in lines} == {len("ok    server-port  ")}


def test_page_of_faults_keeps_its_lines() -> None:
    page = text([failed("settings", "1 fault\n\nserver.port\n  wrong     'many' is no number")])

    assert "\n                  wrong     'many' is no number" in page


def test_page_survives_a_dumb_terminal() -> None:
    assert text().isascii()


def test_sum_counts_every_status() -> None:
    assert text().splitlines()[-1] == "1 ok, 1 warning, 1 failed, 1 skipped, in 1.2 s"


def test_json_says_the_same_to_programs() -> None:
    page = json.loads(as_json(FINDINGS, seconds=1.25))

    assert (page["ok"], page["seconds"]) == (False, 1.25)
    assert page["findings"][2] == {
        "check": "engine",
        "status": "warning",
        "seen": "none",
        "remedy": "sudo systemctl start docker",
    }
    assert json.loads(as_json(FINDINGS[1:], seconds=0))["ok"] is True


def test_statuses_are_four() -> None:
    assert set(Status) == {finding.status for finding in FINDINGS}
