"""Logs that can be read by a person or a machine, and forged by nobody."""

from __future__ import annotations

import io
import json
import logging
from datetime import UTC, datetime

import pytest
import structlog

from app.core.telemetry import configure_logging, parse_levels
from tests.core.restored import restored_logging  # noqa: F401  (a fixture that is always used)


def _configured(directive: str = "info", *, as_json: bool = True) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(parse_levels(directive), json=as_json, stream=stream)
    return stream


def test_a_directive_sets_the_root_and_single_loggers() -> None:
    assert parse_levels("warning, app=debug,app.server=error") == {
        "": logging.WARNING,
        "app": logging.DEBUG,
        "app.server": logging.ERROR,
    }


@pytest.mark.parametrize(
    ("directive", "named"),
    [("loud", "'loud'"), ("app=loud", "'loud'"), ("info,app=", "''"), ("=", "'='"), ("notset", "'notset'")],
)
def test_a_bad_directive_names_its_bad_part(directive: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse_levels(directive)


def test_production_writes_one_json_object_a_line() -> None:
    stream = _configured()

    structlog.get_logger("app.x").info("started", port=8000)

    line = json.loads(stream.getvalue())
    assert (line["event"], line["port"], line["level"], line["logger"]) == ("started", 8000, "info", "app.x")
    assert line["timestamp"].endswith("Z")


def test_a_line_says_when_it_was_written_to_the_microsecond() -> None:
    stream, before = _configured(), datetime.now(UTC)

    for _ in range(3):
        structlog.get_logger("app.x").info("now")

    times = [json.loads(line)["timestamp"] for line in stream.getvalue().splitlines()]
    read = [datetime.fromisoformat(text) for text in times]
    in_order = [before, *read, datetime.now(UTC)]
    assert in_order == sorted(in_order)
    assert all(len(text) == len("2026-01-01T00:00:00.000000Z") for text in times)


def test_the_standard_library_goes_the_same_way() -> None:
    stream = _configured()

    logging.getLogger("some.library").warning("disk %s full", "nearly")

    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["logger"]) == ("disk nearly full", "warning", "some.library")


def test_an_exception_is_part_of_the_line() -> None:
    stream = _configured()
    try:
        raise RuntimeError("torn")
    except RuntimeError as error:
        structlog.get_logger("app.x").error("failed", exc_info=error)

    (exception,) = json.loads(stream.getvalue())["exception"]
    assert (exception["exc_type"], exception["exc_value"]) == ("RuntimeError", "torn")


@pytest.mark.parametrize("as_json", [True, False])
def test_an_exception_shows_no_local_variables(as_json: bool) -> None:
    stream = _configured(as_json=as_json)

    def fail(password: str) -> None:
        raise RuntimeError(f"{len(password)} characters")

    try:
        fail("canary-" + "x" * 8)
    except RuntimeError as error:
        structlog.get_logger("app.x").error("failed", exc_info=error)

    assert "15 characters" in stream.getvalue()
    assert "canary-xxxxxxxx" not in stream.getvalue()


def test_a_value_that_json_does_not_know_does_not_lose_the_line() -> None:
    stream = _configured()

    structlog.get_logger("app.x").info("odd", value=object, number=float("nan"))

    assert json.loads(stream.getvalue())["event"] == "odd"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_logged_url_can_neither_forge_a_line_nor_colour_a_terminal(as_json: bool) -> None:
    stream = _configured(as_json=as_json)

    structlog.get_logger("app.x").info("request", path="/ok\n2026-01-01 [critical] forged \x1b[31mred")
    logging.getLogger("some.library").warning("saw /ok\nforged \x1b[31mred")

    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "\x1b[31m" not in stream.getvalue()


def test_levels_apply_by_logger() -> None:
    stream = _configured("warning,app=debug")

    structlog.get_logger("app.x").debug("kept")
    structlog.get_logger("other").info("dropped")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["kept"]


@pytest.mark.parametrize("directive", ["debug", "info,databases=debug", "info,asyncpg=debug"])
def test_query_arguments_are_never_logged(directive: str) -> None:
    stream = _configured(directive)

    logging.getLogger("databases").debug("Query: select 1 Args: %r", ("canary",))
    logging.getLogger("asyncpg.pool").debug("canary")

    assert "canary" not in stream.getvalue()


class Obstinate:
    def __repr__(self) -> str:
        raise RuntimeError("not for logs")


@pytest.mark.parametrize("value", ["half of a pair: \ud800", 1 << 70, {1: "one"}, {(1, 2): "two"}, Obstinate()])
@pytest.mark.parametrize("as_json", [True, False])
def test_no_value_keeps_a_line_from_being_written(value: object, as_json: bool) -> None:
    stream = _configured(as_json=as_json)

    structlog.get_logger("app.x").info("odd", value=value)

    (line,) = stream.getvalue().splitlines()
    assert "odd" in line
    assert not as_json or json.loads(line)["event"] == "odd"


def test_a_librarys_wrong_arguments_are_neither_raised_nor_printed() -> None:
    stream = _configured()

    logging.getLogger("some.library").warning("%d things", "canary")

    line = json.loads(stream.getvalue())
    assert (line["event"], line["unloggable"]) == ("%d things", "TypeError")
    assert "canary" not in stream.getvalue()


class Refused(Exception):
    """What asyncpg makes of a violation: the server's DETAIL is part of the message."""

    def __str__(self) -> str:
        return "not-null constraint violated\nDETAIL:  Failing row contains (7, canary\nover lines).\nHINT:  None."


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("grouped", [True, False])
def test_the_values_of_a_row_are_not_part_of_a_traceback(as_json: bool, grouped: bool) -> None:
    stream = _configured(as_json=as_json)
    try:
        try:
            raise Refused
        except Refused as error:
            if grouped:
                raise ExceptionGroup("several", [error, ValueError("other")]) from None
            raise RuntimeError("could not store it") from error
    except Exception as error:  # noqa: BLE001
        structlog.get_logger("app.x").error("failed", exc_info=error)

    assert "not-null constraint violated" in stream.getvalue()
    assert "HINT" in stream.getvalue()
    assert "canary" not in stream.getvalue()
    assert "over lines" not in stream.getvalue()
