"""Log lines go to a stream that may be full, closed or gone, and whoever logs does not notice."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import structlog

from app.core.telemetry import configure_logging, parse_levels
from app.core.telemetry.sink import ROOM
from tests.core.restored import restored_logging  # noqa: F401  (a fixture that is always used)


@contextmanager
def pipe() -> Iterator[int]:
    """Logs into a pipe; the descriptor of its other end, which the test reads or closes."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as stream:
        configure_logging(parse_levels("info"), json=True, stream=stream)
        yield reader


def read(reader: int) -> str:
    """What the pipe holds, which may end in the middle of a line."""
    text = b""
    with suppress(BlockingIOError):
        while part := os.read(reader, 1 << 16):
            text += part
    return text.decode()


def test_a_pipe_that_nobody_reads_keeps_nobody_waiting_and_loses_nothing() -> None:
    log = structlog.get_logger("app.x")
    with pipe() as reader:
        for number in range(2000):  # twice what a pipe takes
            log.info("line", number=number)
        text = held = read(reader)
        for number in range(2000, 2010):
            log.info("line", number=number)
            text += read(reader)
        os.close(reader)

    assert 0 < len(held.splitlines()) < 2000, "the pipe was never full"
    assert [json.loads(line)["number"] for line in text.splitlines()] == list(range(2010))


def test_lines_beyond_the_room_are_counted_where_they_are_missing() -> None:
    log = structlog.get_logger("app.x")
    with pipe() as reader:
        for number in range(3000):
            log.info("line", number=number, filling="x" * 1000)
        text = read(reader)
        for number in range(3000, 3100):
            log.info("line", number=number)
            text += read(reader)
        os.close(reader)

    events = [json.loads(line) for line in text.splitlines()]
    (place,) = [place for place, event in enumerate(events) if event["event"] == "log_lines_lost"]
    before, after = events[place - 1]["number"], events[place + 1]["number"]
    assert ROOM < 3000 * 1000, "there was room for all of it"
    assert events[place]["count"] == after - before - 1
    assert events[-1]["number"] == 3099


def test_a_reader_that_has_gone_is_not_told() -> None:
    with pipe() as reader:
        os.close(reader)

        structlog.get_logger("app.x").info("nobody reads this")
        logging.getLogger("some.library").warning("nor this")


def test_a_stream_that_is_closed_is_not_told() -> None:
    stream = io.StringIO()
    configure_logging(parse_levels("info"), json=True, stream=stream)
    stream.close()

    structlog.get_logger("app.x").info("nobody reads this")
    logging.getLogger("some.library").warning("nor this")


def test_the_control_stock_logging_raises_or_complains(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logger = logging.getLogger("stock")
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(stream))
    stream.close()

    logger.warning("nobody reads this")

    assert "--- Logging error ---" in capsys.readouterr().err
