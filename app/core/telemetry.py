"""Logs: one event per line, coloured for a person in development, JSON for a machine in production."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import TextIO

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor

ROOT = ""
# Both of structlog's default tracebacks print local variables: passwords, tokens, whole requests.
WITHOUT_LOCALS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
# Libraries whose INFO repeats what our own events say; a directive that names one decides otherwise.
QUIET = ("alembic", "databases", "hypercorn")
# Below INFO these log the arguments of queries, so no directive lowers them further.
NEVER_BELOW_INFO = ("databases", "asyncpg")


def parse_levels(directive: str) -> dict[str, int]:
    """Read `info,app=debug,databases=warning` into levels by logger; the bare one is the root's.

    Raises `ValueError` naming the first part that is not `LEVEL` or `LOGGER=LEVEL`.
    """
    levels: dict[str, int] = {ROOT: logging.INFO}
    for part in filter(None, (piece.strip() for piece in directive.split(","))):
        logger, _, level = part.rpartition("=")
        number = logging.getLevelNamesMapping().get(level.strip().upper())
        if not number:
            raise ValueError(f"{part!r} is not LEVEL or LOGGER=LEVEL (levels: debug info warning error critical)")
        levels[logger.strip()] = number
    return levels


def configure_logging(levels: Mapping[str, int], *, json: bool, stream: TextIO = sys.stderr) -> None:
    """Send structlog and the standard library's loggers through one formatter to `stream`."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso" if json else "%H:%M:%S", utc=json),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_render(stream, json=json),
            ],
        )
    )
    _install(handler, levels)


def _render(stream: TextIO, *, json: bool) -> list[Processor]:
    if json:
        return [WITHOUT_LOCALS, structlog.processors.JSONRenderer(_dumps)]
    return [
        escape_control_characters,
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ]


def _dumps(event: EventDict, **_options: object) -> str:
    return orjson.dumps(event, default=repr).decode()


def escape_control_characters(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Show ESC, newlines and their like as text, so that a logged URL can't forge a line or colour a terminal."""
    return {key: _printable(value) if key != "exception" else value for key, value in event.items()}


def _printable(value: object) -> object:
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in value)


def _install(handler: logging.Handler, levels: Mapping[str, int]) -> None:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    chatty = dict.fromkeys(NEVER_BELOW_INFO, levels[ROOT])
    quiet = dict.fromkeys(QUIET, max(levels[ROOT], logging.WARNING))
    for name, level in {**chatty, **quiet, **levels}.items():
        floor = logging.INFO if name.split(".")[0] in NEVER_BELOW_INFO else logging.NOTSET
        logging.getLogger(name).setLevel(max(level, floor))
