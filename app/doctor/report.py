"""Lays findings out for a person or for a program."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict

import click
import orjson

from app.doctor.finding import Finding, Status
from app.doctor.runner import healthy
from app.doctor.words import number

# Words of one width rather than signs: they survive a dumb terminal, a log and a copy into a ticket.
MARKS = {Status.OK: "ok  ", Status.SKIPPED: "skip", Status.WARNING: "WARN", Status.FAILED: "FAIL"}
COLOURS = {Status.OK: "green", Status.SKIPPED: "bright_black", Status.WARNING: "yellow", Status.FAILED: "red"}
# What needs no action first, so that the rest stands right above the prompt.
ORDER = (Status.OK, Status.SKIPPED, Status.WARNING, Status.FAILED)
NARROWEST = 40


def as_text(findings: Sequence[Finding], *, seconds: float, width: int) -> str:
    """One paragraph per finding; remedies are never wrapped, so that they can be copied."""
    column = max(len(finding.check) for finding in findings)
    ordered = sorted(findings, key=lambda finding: ORDER.index(finding.status))
    return "\n".join([*(_paragraph(finding, column, width) for finding in ordered), "", _sum(findings, seconds)])


def as_json(findings: Sequence[Finding], *, seconds: float) -> str:
    """`ok` and the findings, as declared."""
    page = {"ok": healthy(findings), "seconds": round(seconds, 3), "findings": [asdict(each) for each in findings]}
    return orjson.dumps(page, option=orjson.OPT_INDENT_2).decode()


def _paragraph(finding: Finding, column: int, width: int) -> str:
    margin = " " * (len(MARKS[finding.status]) + column + 4)
    room = max(width - len(margin), NARROWEST)
    lines = [line for part in finding.seen.splitlines() for line in _wrapped(part, room)]
    lines += [f"  $ {command}" for command in finding.remedy.splitlines()]
    mark = click.style(MARKS[finding.status], fg=COLOURS[finding.status])
    return f"{mark}  {finding.check:<{column}}  " + f"\n{margin}".join(lines)


def _wrapped(text: str, room: int) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    return textwrap.wrap(text, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]


def _sum(findings: Sequence[Finding], seconds: float) -> str:
    counts = {status: sum(finding.status is status for finding in findings) for status in ORDER}
    told = f"{counts[Status.OK]} ok, {number(counts[Status.WARNING], 'warning')}, {counts[Status.FAILED]} failed"
    return f"{told}, {counts[Status.SKIPPED]} skipped, in {seconds:.1f} s"
