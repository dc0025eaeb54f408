"""Puts the parts together: structlog's loggers and the standard library's, through one rendering into one sink.

Our own events take the short way, from structlog straight to the sink; a `LogRecord` each would double their cost.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor

from app.core.telemetry import rendering, tracebacks
from app.core.telemetry.levels import set_levels
from app.core.telemetry.redaction import Redaction
from app.core.telemetry.sink import Sink
from app.core.telemetry.timestamps import Timestamps

Write = Callable[[str], None]

NUMBERS = {name.lower(): number for name, number in logging.getLevelNamesMapping().items()}


def configure_logging(
    levels: Mapping[str, int], *, json: bool, stream: TextIO = sys.stderr, secrets: Iterable[str] = ()
) -> None:
    """Send every logger's events to `stream`, one line each; `secrets` are masked wherever they would stand."""
    context: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        Timestamps() if json else structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        structlog.processors.StackInfoRenderer(),
    ]
    render = _rendering(json=json, colors=stream.isatty() if not stream.closed else False)
    write = _writing(stream, secrets, json=json)
    structlog.configure(
        processors=[_drop_unheard, *context, *render],
        logger_factory=_Loggers(write),
        wrapper_class=structlog.make_filtering_bound_logger(min(levels.values())),
        # A cached logger would go on writing here after a test has configured another stream.
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*context, structlog.stdlib.ExtraAdder(allow=("unloggable",))],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    logging.getLogger().handlers[:] = [_Records(formatter, write)]
    set_levels(levels)


def _rendering(*, json: bool, colors: bool) -> list[Processor]:
    if json:
        return [structlog.processors.ExceptionRenderer(tracebacks.as_dicts), rendering.json_line]
    return rendering.console(colors=colors)


def _writing(stream: TextIO, secrets: Iterable[str], *, json: bool) -> Write:
    redact = Redaction(secrets, written=rendering.forms_in_json if json else rendering.forms_in_console)

    def lost(count: int) -> str:
        event = {"event": "log_lines_lost", "level": "warning", "count": count}
        return rendering.json_line(None, "warning", event) if json else f"[warning] log_lines_lost count={count}"

    sink = Sink(stream, lost=lost)
    return lambda line: sink.write(redact(line))


class _Logger:
    """What structlog's loggers end in: a name, its level, and where a rendered line goes."""

    def __init__(self, name: str, write: Write) -> None:
        self.name = name
        self.hears = logging.getLogger(name).isEnabledFor
        self.debug = self.info = self.warning = self.error = self.critical = self.exception = self.msg = write


def _drop_unheard(logger: _Logger, method: str, event: EventDict) -> EventDict:
    if logger.hears(NUMBERS[method]):
        return event
    raise structlog.DropEvent


class _Loggers:
    """Makes one for each name."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._made: dict[str, _Logger] = {}

    def __call__(self, name: str = "") -> _Logger:
        logger = self._made.get(name)
        if logger is None:
            logger = self._made[name] = _Logger(name, self._write)
        return logger


class _Records(logging.Handler):
    """The way of the libraries, which log through the standard library."""

    def __init__(self, formatter: logging.Formatter, write: Write) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self._line(record))

    def _line(self, record: logging.LogRecord) -> str:
        """A record whose arguments do not fit its message would otherwise be printed with them, over many lines."""
        try:
            return self.format(record)
        except Exception as error:  # noqa: BLE001  (whatever a library's arguments do)
            unformatted = logging.LogRecord(
                record.name, record.levelno, record.pathname, record.lineno, str(record.msg), None, None
            )
            unformatted.unloggable = type(error).__name__
            return self.format(unformatted)
