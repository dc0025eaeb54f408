"""The exit codes of every command: one number, one meaning, listed in `app --help` and the docs."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a supervisor or a script may rely on."""

    OK = 0
    UNEXPECTED = 1
    BAD_SETTINGS = 2
    SERVICE_UNAVAILABLE = 3
    WRONG_SCHEMA = 4
    PORT_TAKEN = 5
    FORCED = 130
