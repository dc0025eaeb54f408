"""A person at a shell: runs `app tasks` and `app outbox` on a test's own database, and fills that."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from click import Context
from click.testing import CliRunner, Result

import app.bootstrap
import app.cli.operating
from app.cli import cli
from app.cli.context import CliContext
from app.core.database import Database
from app.core.queue import Event, Priority, Queue, Task, Waker
from app.core.settings import PROJECT_ROOT, Settings
from app.feature import Feature
from app.tasks import Delivery, Subscriber, store
from app.tasks.store import Claimed, Ending, Lane, Subscription
from tests.harness.settings import TestSettings


@dataclass(frozen=True)
class Note:
    """What a task or an event carries."""

    text: str


async def index(_: Delivery[Note]) -> None:
    """Never called: no worker runs here."""


REMIND = Task("notes.remind", Note)
WRITTEN = Event("notes.written", Note, aggregate="note")
SUBSCRIBERS = (Subscriber(WRITTEN, "search.index", index), Subscriber(WRITTEN, "feed.post", index))
feature = Feature("operated", subscribers=SUBSCRIBERS)
LANES = [Lane(name, priority, room=1000) for name in (REMIND.name, "search.index") for priority in Priority]
SEARCH = Subscription(WRITTEN.name, SUBSCRIBERS[0].name, priority=0, max_retries=10)


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code in (0, 1), self.err
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True)
class Given(CliContext):
    """Settings that were made for the test, not read from the machine it runs on."""

    settings: Settings | None = None

    def load_settings(self, **_server: object) -> Settings:
        assert self.settings is not None
        return self.settings


@dataclass(frozen=True)
class Operator:
    """`await operator("tasks", "list")`; in this process, as a hundred new ones would take a minute."""

    settings: TestSettings

    async def __call__(self, *arguments: object, stdin: str = "", overrides: tuple[str, ...] = ()) -> Answer:
        group, *rest = map(str, arguments)
        given = Given(settings=self.settings(*overrides))

        def invoke() -> Result:
            command = cli.get_command(Context(cli), group)
            assert command is not None
            return CliRunner().invoke(command, rest, obj=given, input=stdin, catch_exceptions=False)

        result = await asyncio.to_thread(invoke)  # each command has an event loop of its own
        return Answer(result.exit_code, result.stdout, result.stderr)

    async def in_a_process(self, *arguments: object, stdout: int = asyncio.subprocess.PIPE, **env: str) -> Answer:
        """The real program."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", *map(str, arguments)),
            cwd=PROJECT_ROOT,
            env={"PATH": os.environ["PATH"], **self.settings.environ, **env},
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Answer(process.returncode, (out or b"").decode(), err.decode())


@pytest.fixture
def operator(settings: TestSettings, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """With two subscribers more; and pytest keeps its own logging."""
    monkeypatch.setattr(app.bootstrap, "FEATURES", (*app.bootstrap.FEATURES, feature))
    monkeypatch.setattr(app.cli.operating, "configure_logging", lambda *_, **__: None)
    return Operator(settings)


async def enqueue(db: Database, count: int = 1, **options: Any) -> list[UUID]:
    """Tasks with a payload that no list may show."""
    queue = Queue(db, Waker(db))
    async with db.transaction():
        found = [await queue.enqueue(REMIND, Note("for ada@example.org"), **options) for _ in range(count)]
    return [each for each in found if each is not None]


async def claim(db: Database) -> list[Claimed]:
    return await store.claim(db, LANES, worker="host:1:x", lease=60, limit=1000)


async def end(db: Database, status: str, error: str | None = None) -> list[UUID]:
    """Run whatever is due, and let it end so."""
    claimed = await claim(db)
    await store.finish(db, [Ending(each.id, each.lease_seq, status, error) for each in claimed])
    return [each.id for each in claimed]


async def publish(db: Database, aggregate: UUID) -> UUID:
    queue = Queue(db, Waker(db))
    async with db.transaction():
        return await queue.publish(WRITTEN, aggregate, Note("for ada@example.org"))


async def hand_on(db: Database) -> None:
    """What the relay does, for one of both subscribers."""
    moved = await store.move_events(db, [SEARCH], known=[WRITTEN.name])
    assert moved is not None
    await store.promote(db, moved.order_keys)
