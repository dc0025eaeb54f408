"""The layers, weakest first: each replaces the one before it, key by key, and is named as the origin."""

from __future__ import annotations

import pytest

from app.core.settings import Environment, Override
from tests.core.settings.project import PRODUCTION, Project

# Every layer sets the same key to its own place in this list.
LAYERS = (
    "default",
    "settings.toml [default]",
    "settings.toml [testing]",
    "settings.local.toml [default]",
    "settings.local.toml [testing]",
    ".env (APP_SERVER__BACKLOG)",
    "environment (APP_SERVER__BACKLOG)",
    "secret file ROOT/named, named by .env (APP_SERVER__BACKLOG_FILE)",
    "secret file ROOT/run/secrets/server_backlog",
    "--set",
)


@pytest.mark.parametrize("strongest", range(1, len(LAYERS)))
def test_a_stronger_layer_replaces_all_weaker_ones(project: Project, strongest: int) -> None:
    places = range(1, strongest + 1)
    tables = {place: f"[{LAYERS[place].split('[')[1]}" for place in places if "[" in LAYERS[place]}
    for name, own in (("settings.toml", (1, 2)), ("settings.local.toml", (3, 4))):
        project.write(
            name, "".join(f"{tables[p][:-1]}.server]\nbacklog = {p}\n" for p in own if p in tables) or "[default]"
        )
    lines = ["APP_SERVER__BACKLOG=5\n"] if 5 in places else []
    environ = {"APP_SERVER__BACKLOG": "6"} if 6 in places else {}
    if 7 in places:
        project.write("named", "7\n")
        # The value itself would clash with the file in the same layer.
        lines = ["APP_SERVER__BACKLOG_FILE=named\n"]
    if 8 in places:
        project.mount("server_backlog", "8\n")
    project.write(".env", "".join(lines))

    settings = project.load(*(["server.backlog=9"] if 9 in places else []), APP_ENV="testing", **environ)

    assert settings.server.backlog == strongest
    assert settings.origins["server.backlog"].replace(str(project.root), "ROOT") == LAYERS[strongest]


def test_the_table_of_another_environment_is_not_read(project: Project) -> None:
    project.write("settings.toml", "[production.server]\nport = 1\n[testing.server]\nport = 2\n")

    settings = project.load(APP_ENV="testing")

    assert settings.server.port == 2


def test_a_local_file_may_leave_the_tables_out(project: Project) -> None:
    project.write("settings.toml", "[default.server]\nport = 1\n[development.server]\nport = 2\nbacklog = 2\n")
    project.write("settings.local.toml", "[server]\nport = 3\n")

    settings = project.load()

    assert (settings.server.port, settings.server.backlog) == (3, 2)
    assert settings.origins["server.port"] == "settings.local.toml"


def test_the_environment_is_development_unless_it_is_named(project: Project) -> None:
    assert project.load().environment is Environment.DEVELOPMENT
    assert project.load().origins["environment"] == "default"


def test_dotenv_may_name_the_environment_and_the_environment_is_stronger(project: Project) -> None:
    project.write(".env", "APP_ENV=testing\n")

    assert project.load().environment is Environment.TESTING
    assert project.load(APP_ENV="development").environment is Environment.DEVELOPMENT


def test_an_option_with_a_name_of_its_own_is_the_origin(project: Project) -> None:
    settings = project.load(Override.of("--port", "server.port", 9000))

    assert settings.server.port == 9000
    assert settings.origins["server.port"] == "--port"


def test_an_option_and_set_may_not_differ(project: Project) -> None:
    page = project.complaint("server.port=1", Override.of("--port", "server.port", 2))

    assert "--port sets this too, to another value" in page


def test_one_layer_may_say_the_same_twice(project: Project) -> None:
    settings = project.load("app.processes=3", "app.processes=3", PORT="9000", APP_SERVER__PORT="9000")

    assert (settings.server.port, settings.app.processes) == (9000, 3)


def test_an_override_may_hold_equals_signs(project: Project) -> None:
    settings = project.load("log.level=info,app=debug", "database.password=a=b=")

    assert settings.log.level == "info,app=debug"
    assert settings.database.password.reveal() == "a=b="


def test_a_secret_on_the_command_line_is_remarked_upon(project: Project) -> None:
    settings = project.load("database.password=hunter2")

    assert settings.notices == ("database.password is given by --set, and a list of processes shows it; use a file.",)


def test_auto_log_format_is_settled_by_the_environment(project: Project) -> None:
    assert project.load().log.json is False
    assert project.load(**PRODUCTION, DB_PASSWORD="p").log.json is True
    assert project.load("log.format=console", **PRODUCTION, DB_PASSWORD="p").log.json is False


def test_dotenv_is_not_interpolated(project: Project) -> None:
    project.write(".env", "DB_NAME=one\nexport DB_PASSWORD=${DB_NAME}-$HOME # a comment\nDB_USER='a b'\n")

    settings = project.load(HOME="/root")

    assert settings.database.password.reveal() == "${DB_NAME}-$HOME"
    assert settings.database.user == "a b"


def test_dotenv_may_come_from_windows(project: Project) -> None:
    project.write(".env", b"\xef\xbb\xbfDB_NAME=one\r\nDB_USER=two\r\n")

    settings = project.load()

    assert (settings.database.name, settings.database.user) == ("one", "two")


def test_settings_are_frozen(project: Project) -> None:
    settings = project.load()

    with pytest.raises(AttributeError):
        settings.server.port = 1  # type: ignore[misc]  # the point of the test
    with pytest.raises(AttributeError):
        settings.app = settings.app  # type: ignore[misc]  # the point of the test
    with pytest.raises(TypeError):
        settings.origins["server.port"] = "x"  # type: ignore[index]  # the point of the test
