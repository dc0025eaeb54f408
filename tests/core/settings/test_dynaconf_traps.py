"""The silent traps of Dynaconf: each is shown to bite in stock Dynaconf, and to be closed here."""

from __future__ import annotations

from typing import Any

import pytest
from dynaconf import Dynaconf, ValidationError, Validator
from dynaconf.base import Settings as DynaconfSettings
from dynaconf.nodes import DataDict
from dynaconf.utils.inspect import get_history

from app.core.settings import PROJECT_ROOT
from app.core.settings.declarations import SECTIONS, SETTINGS
from app.core.settings.show import as_text
from tests.core.settings.project import Project

LOOKS_LIKE_A_NUMBER = {"12345": int, "1e5": float, "true": bool, "1_000": int, "+5": int}
TOKENS = ("@format {env[HOME]}", "@read_file /etc/hostname", "@int 5", "@none", "@jinja {{ 1 + 1 }}")


def stock(project: Project, **options: Any) -> Any:
    """Dynaconf as its own documentation sets it up."""
    return Dynaconf(root_path=str(project.root), settings_files=["settings.toml"], envvar_prefix="APP", **options)


def test_a_variable_with_one_underscore_too_many_is_not_lost(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP__DATABASE__HOST", "elsewhere")
    control = stock(project)
    assert control.get("database") is None
    assert control.get("_database") == {"HOST": "elsewhere"}  # the trap: it went to a key that nobody reads

    page = project.complaint(APP__DATABASE__HOST="elsewhere")

    assert "did you mean APP_DATABASE__HOST?" in page


def test_a_table_in_a_stronger_file_does_not_wipe_the_weaker_one(project: Project) -> None:
    project.write("settings.toml", "[default.database]\nhost = 'one'\nport = 1111\n")
    project.write("settings.local.toml", "[default.database]\nhost = 'two'\n")
    assert stock(project, environments=True).database.get("port") is None  # the trap

    settings = project.load()

    assert (settings.database.host, settings.database.port) == ("two", 1111)


def test_a_list_is_replaced_and_can_shrink(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("settings.toml", "[default.server]\ncors_origins = ['https://a.example', 'https://b.example']\n")
    monkeypatch.setenv("APP_SERVER__CORS_ORIGINS", "['https://b.example']")
    control = stock(project, environments=True, merge_enabled=True)
    assert len(control.server.cors_origins) > 2  # the trap: the list only grows

    settings = project.load(APP_SERVER__CORS_ORIGINS="https://b.example")

    assert settings.server.cors_origins == ("https://b.example",)
    assert project.load(APP_SERVER__CORS_ORIGINS="").server.cors_origins == ()


@pytest.mark.parametrize("text", LOOKS_LIKE_A_NUMBER)
def test_a_secret_that_looks_like_a_number_stays_as_it_is(
    project: Project, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("APP_PASSWORD", text)
    assert type(stock(project).password) is LOOKS_LIKE_A_NUMBER[text]  # the trap

    settings = project.load(DB_PASSWORD=text)

    assert settings.database.password.reveal() == text


@pytest.mark.parametrize("text", ["no", "off"])
def test_a_boolean_is_not_true_because_it_is_not_empty(
    project: Project, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("APP_MIGRATE", text)
    assert bool(stock(project).migrate) is True  # the trap

    settings = project.load(APP_DATABASE__MIGRATE_AT_START=text)

    assert settings.database.migrate_at_start is False


@pytest.mark.parametrize("text", TOKENS)
def test_a_token_in_a_variable_is_never_evaluated(project: Project, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("APP_PASSWORD", text)
    if "jinja" not in text:  # stock Dynaconf evaluates that one only where Jinja is installed
        assert stock(project).password != text  # the trap

    settings = project.load(DB_PASSWORD=text)

    assert settings.database.password.reveal() == text


@pytest.mark.parametrize("text", TOKENS)
def test_a_token_in_a_file_is_plain_text(project: Project, text: str) -> None:
    project.write("settings.toml", f"[default.redis]\npassword = '{text}'\n")
    if "jinja" not in text:
        assert stock(project, environments=True).redis.password != text  # the trap
    project.write("settings.toml", "")
    project.write("settings.local.toml", f"[default.database]\npassword = '{text}'\n")

    settings = project.load()

    assert settings.database.password.reveal() == text


def test_a_merge_token_in_a_list_is_no_command(project: Project) -> None:
    project.write("settings.toml", "[default.server]\ncors_origins = ['dynaconf_merge', 'https://a.example']\n")

    page = project.complaint()

    assert "'dynaconf_merge' is not an origin" in page


def test_a_misspelled_key_or_environment_is_not_accepted(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("settings.toml", "[default.server]\nprot = 1\n[production.server]\nport = 2\n")
    monkeypatch.setenv("ENV_FOR_DYNACONF", "prodution")
    control = stock(project, environments=True)
    assert control.server == {"prot": 1}  # the trap: neither was noticed, and production's port is lost

    page = project.complaint(APP_ENV="prodution")

    assert "did you mean server.port?" in page
    assert "did you mean production?" in page


def test_every_fault_is_reported_not_only_the_first(project: Project) -> None:
    project.write("settings.toml", "[default.server]\nport = 'a'\nbacklog = 'b'\n")
    checks = [Validator("server.port", is_type_of=int), Validator("server.backlog", is_type_of=int)]
    control = stock(project, environments=True, validators=checks)
    with pytest.raises(ValidationError) as first:
        control.validators.validate()
    assert "backlog" not in str(first.value)  # the trap

    page = project.complaint()

    assert "'a'" in page
    assert "'b'" in page


def test_where_a_value_came_from_is_shown_without_the_secret(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_DATABASE__PASSWORD", "canary-7f3a")
    assert "canary-7f3a" in str(get_history(stock(project)))  # the trap

    page = as_text(project.load(APP_DATABASE__PASSWORD="canary-7f3a"))

    assert "canary-7f3a" not in page
    assert "environment (APP_DATABASE__PASSWORD)" in page


def test_no_name_hides_behind_a_method_of_dynaconf(project: Project) -> None:
    project.write("settings.toml", "[default.server]\nitems = 5\n")
    assert callable(stock(project, environments=True).server.items)  # the trap: not 5

    methods = {name.lower() for name in (*dir(DataDict), *dir(DynaconfSettings))}

    assert methods.isdisjoint(SECTIONS)
    assert methods.isdisjoint(item.name for item in SETTINGS.values())


def test_only_the_two_files_are_read(project: Project) -> None:
    project.write("settings.toml", "[default.server]\nport = 1\n")
    project.write("more.toml", "[default.server]\nport = 2\n")
    project.write("dynaconf_hooks.py", "def post(settings):\n    return {'SERVER': {'port': 3}}\n")
    assert stock(project, environments=True).server.port == 3  # the trap: the hook ran
    assert stock(project, environments=True, includes=["more.toml"]).server.port in {2, 3}

    settings = project.load()

    assert settings.server.port == 1


@pytest.mark.parametrize("switch", ["ENV_FOR_DYNACONF", "MERGE_ENABLED_FOR_DYNACONF", "INCLUDES_FOR_DYNACONF"])
def test_a_switch_of_dynaconf_in_the_environment_stops_the_start(project: Project, switch: str) -> None:
    page = project.complaint(**{switch: "x"})

    assert page.splitlines()[2] == switch


def test_dynaconf_keeps_nothing_of_the_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNACONF_SERVER__PORT", "9999")
    assert Dynaconf(settings_files=[]).server.port == 9999  # the trap, with the prefix that stock Dynaconf has

    settings = project.load()

    assert settings.server.port == 8000


# The import contract names the modules that may not; this one also sees a module that nobody has listed there.
def test_nobody_else_knows_dynaconf() -> None:
    allowed = PROJECT_ROOT / "app" / "core" / "settings"
    offenders = [
        str(path.relative_to(PROJECT_ROOT))
        for path in sorted((PROJECT_ROOT / "app").rglob("*.py"))
        if allowed not in path.parents and "dynaconf" in path.read_text("utf-8").lower()
    ]

    assert offenders == []
