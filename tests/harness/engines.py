"""Which HTTP engine a test's servers speak with: the usual one, or each in turn where the promise is the engine's."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from app.core.settings.sections.server import EventLoop, HttpEngine

VARIABLE = "PLINTH_TEST_ENGINE"

# For what costs so much that not every loop can be tried on every engine: uvicorn, where it is at its best.
ENGINES_AND_LOOPS = pytest.mark.parametrize(
    ("engine", "loop"),
    [
        (HttpEngine.HYPERCORN, EventLoop.ASYNCIO),
        (HttpEngine.HYPERCORN, EventLoop.UVLOOP),
        (HttpEngine.UVICORN, EventLoop.UVLOOP),
    ],
    indirect=["engine"],
    scope="module",
)


def usual_engine(environ: Mapping[str, str]) -> HttpEngine:
    """The engine of the tests that are not marked `engines`."""
    wanted = environ.get(VARIABLE, HttpEngine.HYPERCORN)
    if wanted not in list(HttpEngine):
        raise pytest.UsageError(f"{VARIABLE}={wanted}: expected one of {', '.join(HttpEngine)}")
    return HttpEngine(wanted)


def run_on_each(metafunc: pytest.Metafunc) -> None:
    """Let a test that is marked `engines` run once on each."""
    if metafunc.definition.get_closest_marker("engines") is None:
        return
    if "engine" not in metafunc.fixturenames:
        test = metafunc.definition.nodeid
        pytest.fail(f"{test} is marked `engines`, but none of its fixtures uses `engine`", pytrace=False)
    # Of a module and not of the session, by which pytest would take the tests of a module apart.
    metafunc.parametrize("engine", list(HttpEngine), indirect=True, scope="module")
