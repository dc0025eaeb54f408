"""On which HTTP engine a test runs, and what is said where it cannot run on each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.engines import usual_engine
from tests.harness.suite import Suite

EACH = """
import pytest

@pytest.mark.engines
def test_each(engine, redis_url):
    print(f"each {engine}")

@pytest.mark.engines
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_loops(settings, loop):
    print(f"loops {loop} {settings().server.engine}")

@pytest.mark.engines
def test_own(own_settings):
    print(f"own {own_settings().server.engine}")

def test_usual(settings):
    print(f"usual {settings().server.engine}")
"""
NONE = "import pytest\npytestmark = pytest.mark.engines\ndef test_none(redis_url): pass\n"


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path, PLINTH_TEST_SERVICES="embedded")


@pytest.mark.parametrize("usual", ["hypercorn", "uvicorn"])
async def test_a_marked_test_runs_once_on_each_engine_and_another_on_the_usual_one(suite: Suite, usual: str) -> None:
    suite.write("test_it.py", EACH)

    code, output = await suite.run("-n0", "-rP", PLINTH_TEST_ENGINE=usual)

    assert code == 0, output
    said = sorted(line for line in output.splitlines() if line.startswith(("each ", "loops ", "own ", "usual ")))
    assert said == [
        "each hypercorn",
        "each uvicorn",
        "loops asyncio hypercorn",
        "loops asyncio uvicorn",
        "loops uvloop hypercorn",
        "loops uvloop uvicorn",
        "own hypercorn",
        "own uvicorn",
        f"usual {usual}",
    ]
    assert "test_loops[uvicorn-asyncio]" in output


async def test_a_marked_test_on_which_the_engine_has_no_influence_is_an_error(suite: Suite) -> None:
    suite.write("test_it.py", NONE)

    code, output = await suite.run("-n0")

    assert code == pytest.ExitCode.INTERRUPTED
    assert "test_it.py::test_none is marked `engines`, but none of its fixtures uses `engine`" in output


async def test_a_word_that_is_no_engine_stops_the_run(suite: Suite) -> None:
    code, output = await suite.run("-n0", PLINTH_TEST_ENGINE="unicorn")

    assert code == pytest.ExitCode.USAGE_ERROR
    assert "PLINTH_TEST_ENGINE=unicorn: expected one of hypercorn, uvicorn" in output


def test_hypercorn_is_the_usual_engine() -> None:
    assert usual_engine({}) == "hypercorn"
