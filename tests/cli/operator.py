"""A person at a shell: runs `app tasks` and `app outbox` on a test's own database."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from click import Context
from click.testing import CliRunner, Result
from structlog.testing import capture_logs

import app.bootstrap
import app.terminal.operating
from app.cli import cli, make_application
from app.core.settings import PROJECT_ROOT, Settings
from app.terminal.context import CliContext
from tests.harness.queue_routes import feature
from tests.harness.settings import TestSettings

SUBSCRIBING = replace(feature, authenticate=None)  # beside all features: another one says who calls


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
        given = Given(application=make_application, settings=self.settings(*overrides))

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
def operator(settings: TestSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """With two subscribers more; and pytest keeps its own logging, of which nothing gets between a command's lines."""
    monkeypatch.setattr(app.bootstrap, "FEATURES", (*app.bootstrap.FEATURES, SUBSCRIBING))
    monkeypatch.setattr(app.terminal.operating, "configure_logging", lambda *_, **__: None)
    with capture_logs():
        yield Operator(settings)
