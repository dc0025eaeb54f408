"""`app config` as a person and a program use it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli import cli
from app.core.settings import PROJECT_ROOT, Settings, load_settings
from app.terminal.context import CliContext


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder of its own, in place of the one that the code lies in."""
    (tmp_path / "settings.toml").write_text("[default]\n")

    def load(*, overrides: tuple[str, ...]) -> Settings:
        return load_settings(root=tmp_path, environ={}, overrides=overrides, secrets_folder=tmp_path / "secrets")

    monkeypatch.setattr("app.terminal.context.load_settings", load)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_show_prints_every_value_and_its_layer(root: Path) -> None:
    (root / "settings.toml").write_text("[development.server]\nport = 9000\n")

    result = run("--set", "app.processes=5", "config", "show")

    assert result.exit_code == 0
    assert "port                         9000                settings.toml [development]\n" in result.stdout
    assert "processes                    5                   --set\n" in result.stdout
    assert "password                     **********          generated in .local/secrets/database_password\n" in (
        result.stdout
    )


def test_show_prints_json_for_programs(root: Path) -> None:
    result = run("--set", "server.cors_origins=https://a.example", "config", "show", "--json")

    shown = json.loads(result.stdout)
    assert shown["environment"] == {"value": "development", "layer": "default"}
    assert shown["settings"]["server.cors_origins"] == {"value": ["https://a.example"], "layer": "--set"}
    assert shown["settings"]["database.password"]["value"] == "**********"
    assert (root / ".local/secrets/database_password").read_text() not in result.stdout


@pytest.mark.usefixtures("root")
def test_check_says_one_line() -> None:
    result = run("--set", "server.port=9000", "config", "check")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "The settings for development are sound; 4 of them are not left to their default.\n"


@pytest.mark.usefixtures("root")
def test_check_prints_every_fault_and_exits_2() -> None:
    result = run("--set", "server.port=x", "--set", "log.levle=info", "config", "check")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "The settings have 2 faults, so nothing was started.\n\n"
        "log.levle\n  wrong     there is no such setting\n  from      --set\n  did you mean log.level?\n\n"
        "server.port\n  wrong     'x' is not a whole number\n  from      --set\n"
        "  accepted  a whole number from 0 to 65535\n"
    )


def test_check_prints_notices_beside_the_line(root: Path) -> None:
    (root / ".env").write_text("RESEND_API_KEY=x\n")

    result = run("config", "check")

    assert result.exit_code == 0
    assert result.stderr == (
        "RESEND_API_KEY in the .env is recognised (section email), but nothing in this version reads it.\n"
    )


def test_docs_says_what_has_drifted_and_write_mends_it(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "configuration.md"
    page.write_text((PROJECT_ROOT / "docs" / "configuration.md").read_text().replace("| `port` |", "| `prot` |"))

    drifted = run("config", "docs", "--root", str(tmp_path))
    written = run("config", "docs", "--root", str(tmp_path), "--write")
    sound = run("config", "docs", "--root", str(tmp_path))

    assert (drifted.exit_code, written.exit_code, sound.exit_code) == (1, 0, 0)
    assert drifted.stdout == (
        ".env.example has drifted from the declarations.\ndocs/configuration.md has drifted from the declarations.\n"
    )
    assert written.stdout == ".env.example is written.\ndocs/configuration.md is written.\n"
    assert sound.stdout == ""
    assert page.read_text() == (PROJECT_ROOT / "docs" / "configuration.md").read_text()


def test_docs_needs_a_checkout(tmp_path: Path) -> None:
    result = run("config", "docs", "--root", str(tmp_path))

    assert result.exit_code == 2
    assert "this command is for a checkout of the source" in result.stderr


@pytest.mark.usefixtures("root")
def test_the_context_prints_faults_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        CliContext(("nonsense",)).load_settings()

    assert ended.value.code == 2
    assert "'nonsense' has no '='" in capsys.readouterr().err


def test_the_program_itself_reads_the_environment_of_its_process() -> None:
    environ = {**os.environ, "APP_ENV": "testing", "APP_DATABASE__PASSWORD": "canary-90b2", "PORT": "9000"}

    done = subprocess.run(
        [sys.executable, "-m", "app", "config", "show", "--json"],
        cwd=PROJECT_ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    shown = json.loads(done.stdout)["settings"]
    assert shown["server.port"] == {"value": 9000, "layer": "environment (PORT)"}
    assert "canary-90b2" not in done.stdout + done.stderr


def serve(port: int, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app", "serve", "--port", str(port)],
        cwd=PROJECT_ROOT,
        env={**os.environ, "APP_ENV": "testing", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_an_option_of_a_command_is_named_in_its_fault() -> None:
    done = serve(99999)

    assert done.returncode == 2
    assert "server.port\n  wrong     99999 is above the bounds\n  from      --port\n" in done.stderr


def test_notices_are_logged_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = serve(taken.getsockname()[1], OPENAI_API_KEY="canary-77d1")

    assert done.returncode == 5
    assert "OPENAI_API_KEY in the environment is recognised (section ai)" in done.stderr
    assert "canary-77d1" not in done.stdout + done.stderr
