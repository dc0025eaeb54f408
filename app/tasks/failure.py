"""What is kept of an error: its class, its message and where it came from, without values that nobody should read."""

from __future__ import annotations

import traceback

from app.core.settings import Settings
from app.core.telemetry.redaction import Redaction, secrets_of
from app.core.telemetry.tracebacks import DETAIL

LONGEST = 4000  # characters
LONGEST_MESSAGE = 1500
FRAMES = 12


class Describer:
    """Writes errors down for `last_error`: no local variables, no rows that PostgreSQL quotes, no secret of ours."""

    def __init__(self, settings: Settings) -> None:
        self._redact = Redaction(secrets_of(settings), written=lambda text: {text})

    def __call__(self, error: BaseException) -> str:
        """Masked before it is cut: half a secret would not be known for one."""
        said = self._clean(f"{type(error).__name__}: {_message(error)}".rstrip(": "))[:LONGEST_MESSAGE]
        frames = self._clean("".join(traceback.format_tb(error.__traceback__)[-FRAMES:])).rstrip()
        return f"{said}\n{frames[-(LONGEST - len(said) - 1) :]}".rstrip()

    def _clean(self, text: str) -> str:
        return self._redact(_storable(DETAIL.sub("", text)))


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  (an error of a feature's own may fail to say what it is)
        return f"(its message can't be had: {type(broken).__name__})"


def _storable(text: str) -> str:
    """PostgreSQL refuses these two, and with them the whole batch in which they come."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()
