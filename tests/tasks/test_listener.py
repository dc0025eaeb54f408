"""What hears of new work: at once, again after every loss, and without pretending where it cannot."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import psutil
import pytest
from structlog.testing import capture_logs

from app.core.beside import beside
from app.core.database import Database
from app.core.lifecycle import Lifecycle
from app.core.queue import Waker
from app.core.resources import Resources, open_resources
from app.embedded import PostgresServer, Stop
from app.tasks.hints import Hints
from app.tasks.listener import Listener
from tests.harness.processes import stalled
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

WITHIN = 30.0  # seconds; a loaded machine, not a slow listener
PID = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = :name
ORDER BY backend_start DESC LIMIT 1
"""


@dataclass
class Hearing:
    """`heard` is everything so far, in order."""

    resources: Resources
    listener: Listener
    heard: list[str] = field(default_factory=list)

    @property
    def db(self) -> Database:
        return self.resources.database

    @property
    def listens(self) -> bool:
        text, _ = self.resources.metrics.exposition("")
        return bool(re.search(rb"^plinth_tasks_listening 1\.0$", text, re.MULTILINE))

    async def backend(self) -> int:
        pid = await eventually(lambda: listening(self.resources), within=WITHIN)
        assert isinstance(pid, int)
        return pid


async def listening(resources: Resources) -> object:
    """The backend of its listener, the newest one."""
    return await resources.database.fetch_val(PID, {"name": f"{resources.settings.app.name} listener"})


def named() -> str:
    """Of its own: what an earlier test has left behind on a server is not taken for it."""
    return f"app.name=ear-{uuid4().hex[:8]}"


@asynccontextmanager
async def hearing(settings: TestSettings, *overrides: str) -> AsyncIterator[Hearing]:
    async with open_resources(settings(named(), *overrides), Lifecycle()) as resources:
        hints = Hints()
        hearing = Hearing(resources, Listener(resources, hints))
        hints.on_message(hearing.heard.append)
        async with beside(hearing.listener.run(), name="listener"):
            yield hearing


async def test_every_message_is_heard_and_what_may_have_been_missed_is_told_first(settings: TestSettings) -> None:
    async with hearing(settings) as ear:
        await eventually(lambda: ear.heard == ["tasks", "outbox"], within=WITHIN)

        waker = Waker(ear.db)
        waker.wake("cancel:7")
        async with beside(waker.run(), name="waker"):
            await eventually(lambda: ear.heard[2:] == ["cancel:7"], within=WITHIN)

        assert ear.listens


async def test_a_killed_backend_is_replaced_and_what_was_missed_is_told_again(settings: TestSettings) -> None:
    async with hearing(settings) as ear:
        first = await ear.backend()
        await eventually(lambda: len(ear.heard) == 2, within=WITHIN)

        assert await ear.db.fetch_val(f"SELECT pg_terminate_backend({first})")
        await eventually(lambda: len(ear.heard) == 4, within=WITHIN)

        assert ear.heard == ["tasks", "outbox"] * 2
        assert await ear.backend() != first


@pytest.mark.fault
@pytest.mark.parametrize("how", [Stop.FAST, Stop.IMMEDIATE])
async def test_a_restart_of_postgres_is_survived_with_one_warning(
    own_settings: TestSettings, own_postgres: PostgresServer, how: Stop
) -> None:
    with capture_logs() as logs:
        async with hearing(own_settings) as ear:
            await eventually(lambda: len(ear.heard) == 2, within=WITHIN)

            await own_postgres.stop(how)
            await eventually(lambda: not ear.listens, within=WITHIN)
            await own_postgres.restart()
            await eventually(lambda: len(ear.heard) == 4, within=WITHIN)

            assert ear.listens

    lost = [line["log_level"] for line in logs if line["event"] == "listener_lost"]
    assert lost.count("warning") == 1


@pytest.mark.fault
async def test_a_peer_that_is_gone_without_a_word_is_noticed(own_settings: TestSettings) -> None:
    """Its connection stays open: no error would ever tell of it."""
    async with hearing(own_settings) as ear:
        silent = await ear.backend()
        await eventually(lambda: len(ear.heard) == 2, within=WITHIN)

        with stalled(silent):
            await eventually(lambda: len(ear.heard) == 4, within=WITHIN)

            assert psutil.Process(silent).status() == psutil.STATUS_STOPPED
            assert ear.listens


async def test_behind_a_transaction_pooler_it_says_so_once_and_leaves_it_to_polling(settings: TestSettings) -> None:
    with capture_logs() as logs:
        async with open_resources(settings(named(), "database.pooler_mode=transaction"), Lifecycle()) as resources:
            async with asyncio.timeout(WITHIN):
                await Listener(resources, Hints()).run()

            assert await listening(resources) is None

    (off,) = [line for line in logs if line["event"] == "listener_off"]
    assert "polling" in off["reason"]
