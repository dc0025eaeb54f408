"""`app migrate` as a person or a pipeline meets it: what it prints, and how it ends."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Column, MetaData, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from app.cli.migrate import migrate
from app.core.database import metadata
from app.core.migrations import read_history
from app.core.settings import PROJECT_ROOT, Environment, Settings
from app.terminal.context import CliContext
from tests.harness.settings import TestSettings
from tests.migrations.conftest import AddRevision, add_revision, empty, events, folder, migrated

__all__ = ["add_revision", "empty", "events", "folder", "migrated"]  # fixtures

HISTORY = read_history()
HEAD = HISTORY.head

pytestmark = pytest.mark.usefixtures("events")


@dataclass(frozen=True)
class Given(CliContext):
    """Settings that were made for the test, not read from the machine it runs on."""

    settings: Settings | None = None

    def load_settings(self, **_server: object) -> Settings:
        assert self.settings is not None
        return self.settings


Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(settings, "up", "0002")` in this process; pytest keeps its own logging."""
    monkeypatch.setattr(importlib.import_module("app.cli.migrate"), "configure_logging", lambda *_, **__: None)

    def run(settings: Settings, *arguments: str) -> Result:
        return CliRunner().invoke(migrate, arguments, obj=Given(settings=settings), catch_exceptions=False)

    return run


@pytest.fixture
def in_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands work on a copy of migrations/."""
    monkeypatch.setattr(importlib.import_module("app.cli.migrate"), "MIGRATIONS", folder)
    return folder


def test_up_status_down_and_up_again(run: Run, empty: TestSettings) -> None:
    settings = empty()

    before = run(settings, "status")
    up = run(settings, "up", "+2")
    half = run(settings, "status")
    down = run(settings, "down")
    rest = run(settings, "up")
    after = run(settings, "status")
    again = run(settings, "up")

    assert before.exit_code == half.exit_code == 4
    assert before.stdout.endswith(
        f"The schema is behind: expected revision {HEAD}, found none. Run `app migrate up`.\n"
    )
    assert up.stdout.startswith("The schema is at revision 0002: 2 revisions applied in ")
    assert "0002  applied  People who sign in.\n0003  pending  Lists of users" in half.stdout
    assert down.stdout.startswith("The schema is at revision 0001: 1 revision undone in ")
    assert rest.stdout.startswith(f"The schema is at revision {HEAD}: {len(HISTORY.ids) - 1} revisions applied in ")
    assert (after.exit_code, again.exit_code) == (0, 0)
    assert again.stdout == f"The schema is at revision {HEAD}: nothing to do.\n"


def test_status_as_json(run: Run, migrated: TestSettings) -> None:
    run(migrated(), "down", "-2")

    status = run(migrated(), "status", "--json")

    page = json.loads(status.stdout)
    assert status.exit_code == 4
    assert (page["state"], page["current"], page["head"]) == ("behind", HISTORY.ids[-3], HEAD)
    assert page["pending"] == HISTORY.ids[-2:]
    assert page["revisions"][0] == {"revision": "0001", "title": HISTORY.revisions[0].title, "applied": True}
    assert page["invalid_indexes"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("up", "0815"), 2, "There is no revision 0815. Known are: base, 0001,"),
        (("down", "soon"), 2, "There is no revision soon. Known are: base, 0001,"),
        (("new", "!"), 2, "say in a few words what the revision changes"),
    ],
)
def test_a_mistake_in_the_command(
    run: Run, migrated: TestSettings, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ended = run(migrated(), *arguments)

    assert ended.exit_code == code
    assert message in ended.stderr


@pytest.mark.parametrize("command", ["up", "down", "status", "check"])
def test_a_database_that_is_away_ends_with_3(run: Run, migrated: TestSettings, command: str, own_port: int) -> None:
    nowhere = ("database.host=127.0.0.1", f"database.port={own_port}", "database.start_timeout=0.1")

    ended = run(migrated(*nowhere), command)

    assert ended.exit_code == 3
    assert "127.0.0.1" in ended.stderr


def test_down_in_production_wants_to_be_sure(run: Run, migrated: TestSettings) -> None:
    production = replace(migrated(), environment=Environment.PRODUCTION)

    refused = run(production, "down")
    meant = run(production, "down", "--yes")

    assert (refused.exit_code, meant.exit_code) == (2, 0)
    assert "say --yes" in refused.stderr


@pytest.mark.usefixtures("in_folder")
def test_check_agrees_and_then_names_what_differs(run: Run, migrated: TestSettings, add_revision: AddRevision) -> None:
    agreed = run(migrated(), "check")
    add_revision("ALTER TABLE users ALTER role SET DEFAULT 'admin'")
    differing = run(migrated(), "check")

    assert (agreed.exit_code, agreed.stdout) == (0, "The migrations make exactly what the models say.\n")
    assert differing.exit_code == 4
    assert differing.stderr.splitlines()[:3] == [
        "The migrations and the models differ:",
        "column users.role:",
        "  migrations: text; not null; default 'admin'::text",
    ]


@pytest.fixture
def more_models(monkeypatch: pytest.MonkeyPatch) -> MetaData:
    """The models, with a table that no revision makes."""
    importlib.import_module("app.bootstrap")
    models = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(models)
    Table(
        "things",
        models,
        Column("id", Uuid, primary_key=True, server_default=text("uuidv7()")),
        Column("data", JSONB, nullable=False, server_default=text("'{}'")),
        Column("label", Text, unique=True, comment="Long enough that the line must be broken to fit into the width"),
    )
    monkeypatch.setattr(importlib.import_module("app.cli.migrate"), "metadata", models)
    return models


@pytest.mark.usefixtures("more_models")
def test_new_files_pass_every_check_and_make_what_the_models_say(
    run: Run, migrated: TestSettings, in_folder: Path
) -> None:
    filled = run(migrated(), "new", "add things")
    checked = run(migrated(), "check")
    blank = run(migrated(), "new", 'say "nothing" yet', "--empty")

    versions = in_folder / "versions"
    first, second = versions / f"{next_to(0)}_add_things.py", versions / f"{next_to(1)}_say_nothing_yet.py"
    assert (filled.stdout, blank.stdout) == (f"Wrote {first}\n", f"Wrote {second}\n")
    assert first.read_text().startswith(f'"""Add things.\n\nRevision {next_to(0)} after {HEAD}, ')
    assert second.read_text().startswith(f'"""Say \'nothing\' yet.\n\nRevision {next_to(1)} after {next_to(0)}, ')
    assert checked.exit_code == 0, checked.stderr
    config = PROJECT_ROOT / "pyproject.toml"
    for tool in ("ruff format --check --config", "ruff check --config", "mypy --config-file"):
        command = [sys.executable, "-m", *tool.split(), str(config), str(first), str(second)]
        passed = subprocess.run(command, capture_output=True, text=True, check=False)
        assert passed.returncode == 0, passed.stdout + passed.stderr


def next_to(number: int) -> str:
    return f"{int(HEAD or 0) + 1 + number:04d}"


@pytest.mark.usefixtures("in_folder")
def test_a_new_file_that_was_not_written_yet_does_not_run(run: Run, migrated: TestSettings) -> None:
    run(migrated(), "new", "later", "--empty")

    ended = run(migrated(), "check")

    assert ended.exit_code == 1
    assert f"Revision {next_to(0)} ({next_to(0)}_later.py) failed: NotImplementedError" in ended.stderr


def test_two_heads_are_refused_by_new_too(run: Run, migrated: TestSettings, in_folder: Path) -> None:
    for number in ("0090", "0091"):
        (in_folder / "versions" / f"{number}_x.py").write_text(f'revision = "{number}"\ndown_revision = "{HEAD}"\n')

    ended = run(migrated(), "new", "third", "--empty")

    assert ended.exit_code == 2
    assert f"Two heads: 0090_x.py and 0091_x.py both build on {HEAD}." in ended.stderr
