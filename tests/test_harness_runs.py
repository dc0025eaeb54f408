"""Whole runs of the suite's machinery, each a pytest of its own over a few small tests."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from app.embedded import PostgresServer, RedisServer
from tests.harness.databases import PREFIX
from tests.harness.processes import alive, family
from tests.harness.suite import BLOCKS, Suite
from tests.harness.waiting import eventually

NO_ENGINE = "tcp://127.0.0.1:1"
NO_ANSWER = f"no Docker engine answers at {NO_ENGINE}"
PLAIN = "def test_plain(): assert True\n"
DOCKER = "import pytest\n@pytest.mark.docker\ndef test_docker(): assert True\n"


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path, DOCKER_HOST=NO_ENGINE)


@pytest.fixture
def addresses(own_postgres: PostgresServer, own_redis: RedisServer) -> dict[str, str]:
    return {"TEST_DATABASE_URL": own_postgres.url, "TEST_REDIS_URL": own_redis.url}


async def databases_of_tests(server: PostgresServer) -> list[str]:
    connection = await asyncpg.connect(server.url)
    try:
        names = await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)", PREFIX)
    finally:
        await connection.close()
    return [row["datname"] for row in names]


async def test_without_an_engine_services_are_embedded_and_docker_tests_skipped_with_the_reason(
    suite: Suite,
) -> None:
    suite.write("test_it.py", PLAIN + DOCKER + "def test_row(database_url, redis_url): assert database_url\n")

    code, output = await suite.run("-n2")

    assert code == 0, output
    assert f"services: embedded ({NO_ANSWER}" in output
    assert NO_ANSWER in output.partition("SKIPPED [1]")[2]
    assert "2 passed, 1 skipped" in output
    assert "services ready in" in output
    assert "1 databases cloned" in output


async def test_required_docker_without_an_engine_stops_the_run_before_any_test(suite: Suite) -> None:
    suite.write("test_it.py", PLAIN)

    code, output = await suite.run(PLINTH_REQUIRE_DOCKER="1")

    assert code == pytest.ExitCode.USAGE_ERROR
    assert f"PLINTH_REQUIRE_DOCKER=1, but tests cannot use containers: {NO_ANSWER}" in output


async def test_a_required_docker_test_without_an_engine_is_an_error(suite: Suite) -> None:
    suite.write("test_it.py", PLAIN + DOCKER)

    code, output = await suite.run("-n0", PLINTH_REQUIRE_DOCKER="1", PLINTH_TEST_SERVICES="embedded")

    assert code == pytest.ExitCode.TESTS_FAILED
    assert f"PLINTH_REQUIRE_DOCKER=1, but {NO_ANSWER}" in output
    assert "1 passed, 1 error" in output


async def test_a_run_that_only_skips_does_not_pass(suite: Suite) -> None:
    suite.write("test_it.py", DOCKER)

    code, output = await suite.run("-n0", PLINTH_TEST_SERVICES="embedded")

    assert code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "not one test ran, so this run counts as failed" in output
    assert "not started: no test asked for them" in output


async def test_a_run_without_tests_does_not_pass(suite: Suite) -> None:
    code, _ = await suite.run("-n0", PLINTH_TEST_SERVICES="embedded")

    assert code == pytest.ExitCode.NO_TESTS_COLLECTED


async def test_a_warning_fails_a_test(suite: Suite) -> None:
    suite.write("test_it.py", "import warnings\ndef test_it(): warnings.warn('old')\n")

    code, _ = await suite.run("-n0", PLINTH_TEST_SERVICES="embedded")

    assert code == pytest.ExitCode.TESTS_FAILED


async def test_given_services_are_used_and_left_as_they_were(
    suite: Suite, own_postgres: PostgresServer, addresses: dict[str, str]
) -> None:
    suite.write("test_it.py", "def test_row(database_url, redis_url): assert database_url\n" + PLAIN)

    code, output = await suite.run("-n1", **addresses)

    assert code == 0, output
    assert "services: urls (TEST_DATABASE_URL and TEST_REDIS_URL are set)" in output
    assert await databases_of_tests(own_postgres) == []


async def test_services_that_do_not_answer_stop_the_run_with_a_sentence(
    suite: Suite, addresses: dict[str, str]
) -> None:
    suite.write("test_it.py", PLAIN)
    gone = {"TEST_DATABASE_URL": "postgresql://plinth:x@127.0.0.1:1/plinth"}

    code, output = await suite.run("-n2", **{**addresses, **gone})

    assert code == pytest.ExitCode.USAGE_ERROR
    assert "the services for the tests cannot be used" in output


async def test_tests_of_one_group_stay_on_one_worker(suite: Suite) -> None:
    suite.write(
        "test_it.py",
        "import pytest\n"
        "@pytest.mark.xdist_group('one')\n"
        "@pytest.mark.parametrize('turn', range(8))\n"
        "def test_it(turn, worker_id, request):\n"
        "    request.config.rootpath.joinpath(worker_id).touch()\n",
    )

    code, output = await suite.run("-n2", PLINTH_TEST_SERVICES="embedded")

    assert code == 0, output
    assert len(list(suite.folder.glob("gw*"))) == 1


async def test_a_crashed_worker_fails_the_run_and_leaves_no_database(
    suite: Suite, own_postgres: PostgresServer, addresses: dict[str, str]
) -> None:
    suite.write("test_it.py", "import os\ndef test_crash(database_url): os._exit(9)\n" + PLAIN)

    code, output = await suite.run("-n2", **addresses)

    assert code == pytest.ExitCode.TESTS_FAILED
    assert "crashed" in output
    assert await databases_of_tests(own_postgres) == []


@pytest.mark.parametrize(
    "interrupt",
    [
        pytest.param(lambda pid: os.killpg(pid, signal.SIGINT), id="Ctrl-C"),  # a terminal tells the whole group
        pytest.param(lambda pid: os.kill(pid, signal.SIGTERM), id="SIGTERM"),  # a supervisor only the process
    ],
)
async def test_an_interrupted_run_leaves_no_process_and_no_database(
    suite: Suite, own_postgres: PostgresServer, addresses: dict[str, str], interrupt: Callable[[int], None]
) -> None:
    suite.write("test_it.py", BLOCKS)
    async with suite.started("-n1", **addresses) as run:
        await suite.blocked()
        below = family(run.pid)[1:]

        interrupt(run.pid)
        await run.communicate()

    assert run.returncode == pytest.ExitCode.INTERRUPTED
    assert [process for process in below if alive(process.pid)] == []
    assert await databases_of_tests(own_postgres) == []


async def test_a_killed_run_leaves_no_process_of_embedded_services(suite: Suite) -> None:
    suite.write("test_it.py", BLOCKS)
    async with suite.started("-n1", PLINTH_TEST_SERVICES="embedded") as run:
        await suite.blocked()
        below = family(run.pid)[1:]
        assert any("postgres" in process.name() for process in below)

        run.kill()
        await run.communicate()

        await eventually(lambda: not [process for process in below if alive(process.pid)], within=20)


async def test_what_a_killed_run_left_on_given_services_is_cleared_by_the_next(
    suite: Suite, own_postgres: PostgresServer, addresses: dict[str, str]
) -> None:
    suite.write("test_it.py", BLOCKS)
    async with suite.started("-n0", **addresses) as run:
        await suite.blocked()
        run.kill()
        await run.communicate()
    left = await databases_of_tests(own_postgres)
    suite.write("test_it.py", "def test_row(database_url): assert database_url\n")

    code, _ = await suite.run("-n0", **addresses)

    assert len(left) == 2  # the template and a clone
    assert code == 0
    assert await databases_of_tests(own_postgres) == []


async def test_two_runs_at_once_on_one_server_do_not_meet(
    suite: Suite, own_postgres: PostgresServer, addresses: dict[str, str]
) -> None:
    suite.write("test_it.py", "def test_row(database_url, redis_url): assert database_url\n" + PLAIN)

    results = await asyncio.gather(*(suite.run("-n0", **addresses) for _ in range(2)))

    assert [code for code, _ in results] == [0, 0]
    assert await databases_of_tests(own_postgres) == []


PACED = """
import os, time
from pathlib import Path
import pytest

def told(word, name):
    with Path(__file__).with_name("story").open("a") as story:
        story.write(f"{word} {name}\\n")

@pytest.mark.parametrize("number", range(12))
def test_one_of_many(number):
    told("begin", number)
    time.sleep(0.1)  # long enough to meet
    told("end", number)

MARK
@pytest.mark.parametrize("number", range(4))
def test_measures(number):
    told("begin", f"measures {number}")
    time.sleep(0.1)
    told("end", f"measures {number}")
"""


@pytest.mark.parametrize(("mark", "is_alone"), [("@pytest.mark.alone", True), ("", False)])
async def test_what_is_marked_alone_meets_no_other_test(suite: Suite, mark: str, is_alone: bool) -> None:
    suite.write("test_it.py", PACED.replace("MARK", mark))

    code, output = await suite.run("-n4")

    assert code == 0, output
    story = (suite.folder / "story").read_text().splitlines()
    begun = [at for at, line in enumerate(story) if line.startswith("begin measures")]
    met_nobody = [story[at + 1] == story[at].replace("begin", "end") for at in begun]
    assert len(begun) == 4
    assert all(met_nobody) is is_alone
    if is_alone:
        inside = [sum(_step(line) for line in story[:at]) for at in begun]
        assert inside == [0, 0, 0, 0], "somebody was still there"
        assert max(sum(_step(line) for line in story[: at + 1]) for at in range(len(story))) > 1, "the others meet"


def _step(line: str) -> int:
    return 1 if line.startswith("begin") else -1
