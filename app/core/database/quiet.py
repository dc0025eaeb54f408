"""Keeps the libraries' own loggers from showing arguments, or one traceback per retry of an outage."""

from __future__ import annotations

import logging
import time

REPEAT = 30.0  # seconds between two equal lines of asyncpg's pool


class AtLeastInfo(logging.Filter):
    """`databases` logs every query's arguments at DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO


class OncePerOutage(logging.Filter):
    """asyncpg's pool logs a traceback each time it fails to reopen a connection; one line tells as much."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and (error := record.exc_info[1]):
            record.msg, record.args = f"{record.getMessage()} ({type(error).__name__})", ()
            record.exc_info = record.exc_text = None
        now, last = time.monotonic(), self._last.get(record.msg, float("-inf"))
        if now - last < REPEAT:
            return False
        self._last[record.msg] = now
        return True


_AT_LEAST_INFO, _ONCE = AtLeastInfo(), OncePerOutage()


def quieten() -> None:
    """May be called again: a filter is added once."""
    logging.getLogger("databases").addFilter(_AT_LEAST_INFO)
    logging.getLogger("asyncpg.pool").addFilter(_ONCE)
