"""Hooks pytest up to the kit: opens services in the process that was started, tells the workers, reports."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import pytest

from tests.harness.background import BackgroundLoop
from tests.harness.databases import Clones
from tests.harness.engine import Engine, find_engine
from tests.harness.run import Opened, Run
from tests.harness.services import Choice, choose

LOOP = pytest.StashKey[BackgroundLoop]()
ENGINE = pytest.StashKey[Engine]()
CHOICE = pytest.StashKey[Choice]()
RUN = pytest.StashKey[Run]()
CLONES = pytest.StashKey[Clones]()


def worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """What the controller has told this process; None where this is not a worker."""
    return getattr(config, "workerinput", None)


def has_workers(config: pytest.Config) -> bool:
    return bool(config.getoption("numprocesses", None))


def opened(config: pytest.Config) -> Opened:
    """The run's services, from whichever process."""
    if told := worker_input(config):
        return Opened(**told["plinth"])
    return config.stash[RUN].opened


def pytest_configure(config: pytest.Config) -> None:
    if config.option.collectonly:
        return
    config.stash[LOOP] = loop = BackgroundLoop()
    config.add_cleanup(loop.close)
    if told := worker_input(config):
        config.stash[ENGINE] = Engine(**told["plinth_engine"])
        return
    config.stash[ENGINE] = engine = find_engine(os.environ)
    config.stash[CHOICE] = choice = choose(os.environ, engine)
    config.stash[RUN] = run = Run(choice, loop)
    config.add_cleanup(run.close)
    if has_workers(config):
        run.opened  # noqa: B018  (workers cannot ask for it later)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker; xdist calls this for each one, also for one that replaces a crashed one."""
    node.workerinput["plinth"] = asdict(opened(node.config))
    node.workerinput["plinth_engine"] = asdict(node.config.stash[ENGINE])


def pytest_report_header(config: pytest.Config) -> str | None:
    choice = config.stash.get(CHOICE, None)
    return f"services: {choice.way} ({choice.why})" if choice else None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if clones := session.config.stash.get(CLONES, None):
        clones.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") and (reason := item.config.stash[ENGINE].why_not):
        if item.config.stash[ENGINE].required:
            pytest.fail(f"PLINTH_REQUIRE_DOCKER=1, but {reason}", pytrace=False)
        pytest.skip(reason)
