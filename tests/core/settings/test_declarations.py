"""The declarations themselves: complete, described, documented and quick to read."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import pytest

from app.core.settings import PROJECT_ROOT, Settings
from app.core.settings.declarations import NOT_SECTIONS, SECTIONS, SETTINGS, STORED
from app.core.settings.documents import BEGIN, END, env_example, with_generated
from app.core.settings.sections import Adapter
from tests.core.settings.project import Project
from tests.harness.settings import SECRETS

SPECIFIED = "app server database redis log telemetry session csrf jwt oidc rate_limit websocket worker ai payment email"


def test_every_section_of_the_specification_is_there() -> None:
    assert list(SECTIONS) == SPECIFIED.split()
    assert {item.name for item in fields(Settings)} == {*SECTIONS, *NOT_SECTIONS}


@pytest.mark.parametrize("key", SETTINGS)
def test_every_key_says_what_it_changes(key: str) -> None:
    item = SETTINGS[key]

    assert item.help[0].isupper()
    assert item.help.endswith(".")
    assert len(item.help) >= 15
    assert item.kind.accepts


@pytest.mark.parametrize("key", [key for key, item in STORED.items() if not item.required])
def test_every_default_is_a_value_that_its_own_kind_accepts(key: str) -> None:
    item = STORED[key]

    assert item.kind.from_text(item.kind.to_text(item.default)) == item.default


def test_the_generated_files_have_not_drifted() -> None:
    page = (PROJECT_ROOT / "docs" / "configuration.md").read_text("utf-8")

    assert (PROJECT_ROOT / ".env.example").read_text("utf-8") == env_example(), "run `app config docs --write`"
    assert page == with_generated(page), "run `app config docs --write`"


def test_a_page_without_marks_is_not_overwritten() -> None:
    with pytest.raises(ValueError, match="has lost the marks"):
        with_generated("# Configuration\n")


def test_only_the_part_between_the_marks_is_generated() -> None:
    page = with_generated(f"before\n{BEGIN}\nstale words\n{END}\nafter\n")

    assert page.startswith(f"before\n{BEGIN}\n\n### `app`\n")
    assert page.endswith(f"{END}\nafter\n")
    assert "stale words" not in page


def test_every_key_is_documented() -> None:
    page = with_generated(f"{BEGIN}{END}")
    example = env_example()

    for item in SETTINGS.values():
        assert f"| `{item.name}` |" in page
        assert f"\n#{item.variable}=" in example


def test_the_example_as_it_is_changes_nothing(project: Project) -> None:
    before = project.load()
    project.write(".env", env_example())

    assert project.load() == before


def test_the_example_with_every_line_uncommented_gives_the_defaults(project: Project) -> None:
    before = project.load()
    lines = [line.removeprefix("#") for line in env_example().splitlines() if line.startswith("#APP_")]
    filled = [line for line in lines if not line.endswith("=")]
    assert {line.partition("=")[0] for line in lines} - {line.partition("=")[0] for line in filled} == {
        "APP_DATABASE__URL",
        "APP_DATABASE__PASSWORD",
        "APP_SERVER__CORS_ORIGINS",
        "APP_SERVER__TRUSTED_PROXIES",
        "APP_TELEMETRY__OTLP_ENDPOINT",
        "APP_SESSION__SECRET",
        "APP_SESSION__PREVIOUS_SECRET",
        "APP_JWT__SECRET",
        "APP_JWT__PREVIOUS_SECRET",
        "APP_OIDC__ISSUER",
        "APP_OIDC__AUDIENCE",
        "APP_OIDC__CLIENT_ID",
        "APP_EMAIL__SMTP_USER",
        "APP_EMAIL__SMTP_PASSWORD",
        "APP_EMAIL__VERIFY_URL",
        "APP_EMAIL__RESET_URL",
    }
    project.write(".env", "\n".join(filled))

    after = project.load()

    assert after == before
    assert after.origins["server.port"] == ".env (APP_SERVER__PORT)"


def test_the_shared_file_of_this_project_is_sound_in_every_environment(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("settings.toml", (PROJECT_ROOT / "settings.toml").read_text("utf-8"))

    assert project.load().database.migrate_at_start is True
    assert project.load(APP_ENV="testing").database.migrate_at_start is False
    production = project.load(APP_ENV="production", DB_PASSWORD="p", **SECRETS)
    assert (production.database.migrate_at_start, production.server.drain_delay) == (False, 3.0)
    assert production.email.adapter is Adapter.OFF


# Processor time, not wall time: other processes of the test run must not count.
def test_reading_the_settings_is_quick(project: Project) -> None:
    seconds = []
    for _ in range(5):
        start = time.process_time()
        project.load()
        seconds.append(time.process_time() - start)

    assert min(seconds) < 0.05


def test_importing_the_settings_costs_little_beyond_dynaconf() -> None:
    code = (
        "import time; import dynaconf.loaders.toml_loader; start = time.process_time();"
        "import app.core.settings; print(time.process_time() - start)"
    )
    command = [sys.executable, "-c", code]

    seconds = [float(subprocess.check_output(command, cwd=PROJECT_ROOT)) for _ in range(3)]

    assert min(seconds) < 0.1
