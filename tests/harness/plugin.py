"""Hooks pytest up to the kit: opens services in the process that was started, tells the workers, reports."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import redis
from _pytest.terminal import TerminalReporter

from app.core.database import DatabaseUnavailable
from app.core.migrations import MigrationError
from app.embedded import EmbeddedError
from tests.harness import engines, order, report, warm
from tests.harness.alone import Turns
from tests.harness.background import BackgroundLoop
from tests.harness.browser import CHROMIUM
from tests.harness.databases import Clones
from tests.harness.engine import Engine, find_engine
from tests.harness.leftovers import service_folder
from tests.harness.openid import NODE, NPM
from tests.harness.run import Opened, Run
from tests.harness.services import Choice, choose

LOOP = pytest.StashKey[BackgroundLoop]()
ENGINE = pytest.StashKey[Engine]()
CHOICE = pytest.StashKey[Choice]()
RUN = pytest.StashKey[Run]()
SEED = pytest.StashKey[str]()
CLONES = pytest.StashKey[Clones]()
CLONE_SECONDS = pytest.StashKey[list[list[float]]]()
TURNS = pytest.StashKey[Path]()

TOLD = "plinth"  # under this name workers are told what they need, and tell how long their clones took
START_FAILURES = (
    EmbeddedError,
    OSError,
    TimeoutError,
    DatabaseUnavailable,
    MigrationError,
    asyncpg.PostgresError,
    redis.RedisError,
)


def worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """What the controller has told this process; None where this is not a worker."""
    return getattr(config, "workerinput", None)


def opened(config: pytest.Config) -> Opened:
    """The run's services, from whichever process."""
    if told := worker_input(config):
        return Opened(**told[TOLD]["opened"])
    try:
        return config.stash[RUN].opened
    except START_FAILURES as error:
        raise pytest.UsageError(f"the services for the tests cannot be used: {error}") from error


def pytest_configure(config: pytest.Config) -> None:
    engines.usual_engine(os.environ)  # a word that is none of them ends the run here
    if config.option.collectonly:
        config.stash[SEED] = order.pick_seed()
        return
    config.stash[LOOP] = loop = BackgroundLoop()
    config.add_cleanup(loop.close)
    config.stash[CLONE_SECONDS] = []
    if told := worker_input(config):
        config.stash[ENGINE] = Engine(**told[TOLD]["engine"])
        config.stash[SEED] = told[TOLD]["seed"]
    else:
        _prepare_run(config, loop)


def _prepare_run(config: pytest.Config, loop: BackgroundLoop) -> None:
    config.option.loadscopereorder = False  # xdist would begin with the groups of most tests, not of the longest
    config.stash[SEED] = order.pick_seed()
    config.stash[ENGINE] = engine = find_engine(os.environ)
    config.stash[CHOICE] = choice = choose(os.environ, engine)
    config.stash[RUN] = run = Run(choice, loop)
    config.add_cleanup(run.close)
    folders = ExitStack()
    config.add_cleanup(folders.close)
    config.stash[TURNS] = folders.enter_context(service_folder("turns"))
    # Ended by a supervisor's SIGTERM, a run cleans up just as after Ctrl-C.
    # A shell ignores SIGINT for a command in its background, and so would everything that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if config.getoption("numprocesses", None):
        opened(config)  # workers cannot ask for it later


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    return order.worker_count(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker; xdist calls this for each one, also for one that replaces a crashed one."""
    stash = node.config.stash
    node.workerinput[TOLD] = {
        "opened": asdict(opened(node.config)),
        "engine": asdict(stash[ENGINE]),
        "seed": stash[SEED],
        "turns": str(stash[TURNS]),
    }


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear from a worker at its end; a crashed one has nothing to tell."""
    if seconds := getattr(node, "workeroutput", {}).get(TOLD):
        node.config.stash[CLONE_SECONDS].append(seconds)


def pytest_report_header(config: pytest.Config) -> list[str]:
    choice = config.stash.get(CHOICE, None)
    services = [f"services: {choice.way} ({choice.why})"] if choice else []
    return [*services, f"order: PLINTH_TEST_SEED={config.stash[SEED]}"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    engines.run_on_each(metafunc)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    order.shuffle(items, config.stash[SEED])
    order.keep_together(items)
    order.longest_first(items)
    if worker_input(config):
        order.tell_xdist(items)


def pytest_collection_finish() -> None:
    """What was collected stays: the garbage collector would look through it all again and again, for a quarter of a
    second (with 4,200 tests, Python 3.11) of whatever a test measures just then."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Around everything else: waiting for one's turn counts towards no timeout."""
    told = worker_input(item.config)
    if told is None:
        return (yield)
    with Turns(Path(told[TOLD]["turns"])).take(alone=order.runs_alone(item)):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    engine = item.config.stash[ENGINE]
    if item.get_closest_marker("docker"):
        _need("PLINTH_REQUIRE_DOCKER", engine.why_not, required=engine.required)
    if item.get_closest_marker("browser"):
        why_not = "" if CHROMIUM else "there is no chromium here (apt-get install chromium)"
        _need("PLINTH_REQUIRE_BROWSER", why_not, required=os.environ.get("PLINTH_REQUIRE_BROWSER", "") not in ("", "0"))
    if item.get_closest_marker("node"):
        why_not = "" if NODE and NPM else "there is no Node.js with npm here (apt-get install nodejs npm)"
        _need("PLINTH_REQUIRE_NODE", why_not, required=os.environ.get("PLINTH_REQUIRE_NODE", "") not in ("", "0"))


def _need(variable: str, why_not: str | None, *, required: bool) -> None:
    if why_not and required:
        pytest.fail(f"{variable}=1, but {why_not}", pytrace=False)
    if why_not:
        pytest.skip(why_not)


def pytest_sessionfinish(session: pytest.Session) -> None:
    warm.close_template()
    config = session.config
    if clones := config.stash.get(CLONES, None):
        clones.close()
        config.stash[CLONE_SECONDS].append(clones.seconds)
    tell: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if tell is not None:
        tell[TOLD] = clones.seconds if clones else []
    elif not config.option.collectonly:
        report.fail_an_empty_run(session, _reporter(config))


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    if run := config.stash.get(RUN, None):
        terminalreporter.section("services")
        for line in report.lines(run.opened if run.used else None, config.stash[CLONE_SECONDS]):
            terminalreporter.line(line)
        if report.nothing_ran(terminalreporter):
            terminalreporter.line("not one test ran, so this run counts as failed")


def _reporter(config: pytest.Config) -> TerminalReporter:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    assert isinstance(reporter, TerminalReporter)
    return reporter
