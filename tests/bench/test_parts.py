"""The parts of the bench without the others: ours runs, on each engine, and what is timed is the right moment."""

from __future__ import annotations

import asyncio
import fcntl
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import report
from bench.http.contestants import Place
from bench.measures import Measure, series_of, turns
from bench.names import ENGINES
from bench.socket_contestants import plinth
from bench.socket_measures import push
from bench.startup import ours
from bench.startup_measures import EVENTS, NoStart, Start, first_answer, measure, phases
from tests.harness.crowd import Crowd
from tests.harness.settings import TestSettings

each_engine = pytest.mark.parametrize("engine", ENGINES.values())


@each_engine
async def test_a_start_is_split_into_phases_that_add_up(
    database_url: str, redis_url: str, tmp_path: Path, own_port: int, engine: str
) -> None:
    place = Place(database_url, redis_url, tmp_path, own_port)

    found = await measure(ours(place, engine, python=Path(sys.executable)))

    first = min(found["live"], found["ready"])
    assert sum(found[phase] for phase in EVENTS.values()) == pytest.approx(first)
    assert all(found[phase] > 0 for phase in EVENTS.values())
    assert 0 < found["uss"] < found["rss"]
    assert found["cpu"] > 0


async def test_an_answer_that_is_no_200_is_not_the_first(own_port: int) -> None:
    answers = iter([b"503 Service Unavailable", b"503 Service Unavailable", b"200 OK"])
    given: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        given.append(next(answers))
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % given[-1])
        writer.close()

    looking = asyncio.create_task(first_answer(own_port, "/"))  # while nobody listens yet
    async with await asyncio.start_server(answer, "127.0.0.1", own_port), asyncio.timeout(20):
        await looking

    assert given[-1] == b"200 OK"
    assert len(given) == 3


async def test_a_server_that_ends_before_it_answers_is_told_with_its_last_words(own_port: int) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no such setting')")

    with pytest.raises(NoStart, match="no such setting"):
        await measure(Start(command, {}, own_port, {"live": "/health/live"}))


def test_a_log_that_does_not_tell_gives_no_phases() -> None:
    assert phases(10.0, {"starting": 11.0}, answered=12.0) == {}


@each_engine
async def test_a_broadcast_of_the_bench_reaches_every_socket(settings: TestSettings, engine: str) -> None:
    async with plinth(settings, 5, engine=engine) as server:
        crowd = Crowd(server.url, ready=server.ready)
        await crowd.join(5)

        took = [await push(crowd, server.url + path, 0) for path in (*server.ways.values(), "/bench/publish")]

        await crowd.leave()
    assert len(took) == 2
    assert all(milliseconds > 0 for milliseconds in took)


def test_a_second_bench_ends_before_it_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "LOCK", tmp_path / "lock")
    with bench.LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        with pytest.raises(SystemExit, match="Another"):
            bench.main(["templates"])


def test_a_part_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reported: list[bool] = []
    monkeypatch.setattr(bench, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(bench, "PARTS", {"missing": 1})
    monkeypatch.setattr(report, "main", lambda: reported.append(True))

    with pytest.raises(SystemExit, match="FAILED: missing"):
        bench.main(["missing"])

    assert reported == [True]


def test_an_unknown_part_is_refused_before_anything_runs() -> None:
    with pytest.raises(SystemExit, match="no part weather"):
        bench.main(["templates", "weather"])


def test_each_second_round_goes_the_other_way_around() -> None:
    assert [turns(["a", "b", "c"], number) for number in range(2)] == [["a", "b", "c"], ["c", "b", "a"]]


def test_a_series_has_the_rounds_of_one_contestant_in_their_order() -> None:
    found = {"ours": [{"ms": 1.0}, {"ms": 3.0}], "theirs": [{"other": 1.0}]}

    (series,) = series_of("http", found, [Measure("time", "ms", "ms")])

    assert (series.contestant, series.values) == ("ours", (1.0, 3.0))
