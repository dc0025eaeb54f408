"""What a feature adds to the program: commands, and lines of what `app dev` tells a newcomer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import app.bootstrap
import app.terminal.operating
from app.cli import COMMANDS, cli
from app.cli.dev import print_banner
from app.core.exit_codes import ExitCode
from app.core.lifecycle import Lifecycle
from app.core.resources import open_resources
from app.core.settings import PROJECT_ROOT
from tests.cli.operator import Operator
from tests.cli.shout import feature
from tests.harness.settings import TestSettings

# Imports the program, asks for one command, and says what has come along.
IMPORTED = """
import sys
from click import Context
from app.cli import cli
assert cli.get_command(Context(cli), sys.argv[1])
print("app.bootstrap" in sys.modules, "app.features.identity" in sys.modules)
"""


@pytest.fixture
def shouting(settings: TestSettings, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """The program of a house with one feature more; and pytest keeps its own logging."""
    monkeypatch.setattr(app.bootstrap, "FEATURES", (*app.bootstrap.FEATURES, feature))
    monkeypatch.setattr(app.terminal.operating, "configure_logging", lambda *_, **__: None)
    return Operator(settings)


async def test_a_command_of_a_feature_is_the_programs(shouting: Operator) -> None:
    answer = await shouting("shout", "hello")

    assert (answer.code, answer.lines[-1], answer.err) == (0, "HELLO", "")


@pytest.mark.usefixtures("shouting")
def test_it_stands_in_the_list_of_all_behind_the_houses_own() -> None:
    listed = CliRunner().invoke(cli, ["--help"]).stdout

    assert listed.index("Have PostgreSQL say it in capitals.") > listed.index(f"\n  {COMMANDS[-1]} ")


async def test_a_refusal_is_one_sentence_with_what_was_named_before_it(shouting: Operator) -> None:
    quiet, asked = await shouting("shout", "...hm"), await shouting("shout", "...hm?")

    assert (quiet.code, quiet.err) == (ExitCode.UNEXPECTED, "Say it louder.\n")
    assert (asked.code, asked.err) == (ExitCode.UNEXPECTED, "...hm?: Say it louder.\n")


async def test_it_works_while_redis_is_down_and_sends_no_trace(shouting: Operator) -> None:
    away = ("redis.url=redis://127.0.0.1:1/0", "telemetry.otlp_endpoint=http://127.0.0.1:1")

    answer = await shouting("shout", "hello", overrides=away)

    assert (answer.code, answer.lines[-1]) == (0, "HELLO")


async def test_without_a_database_it_says_so(shouting: Operator) -> None:
    answer = await shouting("shout", "hello", overrides=("database.port=1", "database.start_timeout=0.1"))

    assert answer.code == ExitCode.SERVICE_UNAVAILABLE
    assert "HELLO" not in answer.out
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(("command", "expected"), [("health", "False False"), ("user", "True True")])
def test_the_houses_own_commands_import_no_feature(command: str, expected: str, tmp_path: Path) -> None:
    """Containers ask for `app health` every few seconds."""
    run = [sys.executable, "-c", IMPORTED, command]

    told = subprocess.run(
        run, cwd=tmp_path, env={"PYTHONPATH": str(PROJECT_ROOT)}, capture_output=True, text=True, check=True
    )

    assert told.stdout.strip() == expected


async def test_a_newcomer_is_told_what_a_feature_has_to_say(
    settings: TestSettings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app.bootstrap, "FEATURES", (feature,))

    async with open_resources(settings(), Lifecycle()) as resources:
        await print_banner(resources, "http://127.0.0.1:8000")

    told = capsys.readouterr().out
    assert f"\n  Shout:      app shout hello, on {settings().database.name}\n" in told
    assert told.index("Health:") < told.index("Shout:") < told.index("Stop:")
