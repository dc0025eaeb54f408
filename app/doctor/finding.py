"""What a check hands back: one sentence on what was seen, and what to type about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is.

    `failed` is what keeps the service, as it is configured, from running or from keeping its data; `warning` is
    what closes only one of the ways to run it, or may bite later.
    """

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """`remedy` is shell: one command per line, each with its reason behind a `#` where it needs one."""

    check: str
    status: Status
    seen: str
    remedy: str = ""


def ok(check: str, seen: str) -> Finding:
    return Finding(check, Status.OK, seen)


def skipped(check: str, reason: str) -> Finding:
    return Finding(check, Status.SKIPPED, reason)


def warning(check: str, seen: str, *remedy: str) -> Finding:
    return Finding(check, Status.WARNING, seen, "\n".join(remedy))


def failed(check: str, seen: str, *remedy: str) -> Finding:
    return Finding(check, Status.FAILED, seen, "\n".join(remedy))
