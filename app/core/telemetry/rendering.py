"""One event as one line: JSON for a machine, words and colours for a person."""

from __future__ import annotations

import json
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor

from app.core.telemetry import tracebacks


def json_line(_logger: object, _method: str, event: EventDict) -> str:
    """The event as JSON; whatever stands in it, the line is not lost and nothing is raised."""
    try:
        return orjson.dumps(event, default=repr).decode()
    except TypeError:  # half a surrogate pair, a number beyond 64 bits, a key that is no text, a `repr` that fails
        return _patient_json(event)


def _patient_json(event: EventDict) -> str:
    try:
        return json.dumps({str(key): value for key, value in event.items()}, default=repr, skipkeys=True)
    except Exception as error:  # noqa: BLE001  (a value of any type may do anything)
        known = {key: event[key] for key in ("event", "level", "logger", "timestamp") if key in event}
        return json.dumps({**known, "unloggable": type(error).__name__}, default=str)


def console(*, colors: bool) -> list[Processor]:
    """What makes a line for a terminal."""
    renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=tracebacks.as_text)

    def console_line(logger: Any, method: str, event: EventDict) -> str:  # noqa: ANN401  (structlog's own type)
        try:
            return str(renderer(logger, method, dict(event)))  # it takes the event apart
        except Exception as error:  # noqa: BLE001  (as above)
            return f"{event.get('event')!r} could not be written: {type(error).__name__}"

    return [escape_control_characters, console_line]


def escape_control_characters(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Show ESC, newlines and their like as text, so that a logged URL can't forge a line or colour a terminal."""
    return {key: escaped(value) if key != "exception" else value for key, value in event.items()}


def escaped(value: object) -> object:
    """The value, its characters that do not print written out."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in value)


def forms_in_json(text: str) -> set[str]:
    """How a text may stand between the quotes of a JSON line."""
    return {json.dumps(text, ensure_ascii=False)[1:-1]}


def forms_in_console(text: str) -> set[str]:
    """How a text may stand in a line for a terminal: as it is in a traceback, escaped, and quoted besides."""
    printable = str(escaped(text))
    return {text, printable, repr(printable)[1:-1]}
