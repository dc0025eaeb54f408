"""The page of faults as a whole: what is on it, and what is left out."""

from __future__ import annotations

import pytest

from tests.core.settings.project import Project


def test_the_page_reads_like_this(project: Project) -> None:
    project.write("settings.toml", "[default.server]\nprot = 1\n")

    page = project.complaint(APP_DATABASE__POOL_MAX="lots")

    assert (
        page
        == """\
The settings have 2 faults, so nothing was started.

server.prot
  wrong     there is no such setting
  from      settings.toml [default]
  did you mean server.port?

database.pool_max
  wrong     'lots' is not a whole number
  from      environment (APP_DATABASE__POOL_MAX)
  accepted  a whole number from 1 to 1000"""
    )


def test_a_missing_shared_file_is_explained(project: Project) -> None:
    (project.root / "settings.toml").unlink()

    page = project.complaint()

    assert page.endswith(
        "settings.toml\n  wrong     the file is missing from ROOT\n  from      settings.toml\n"
        "  accepted  a TOML file in UTF-8"
    )


@pytest.mark.parametrize("name", ["settings.toml", "settings.local.toml", ".env"])
def test_a_file_that_can_not_be_opened_is_explained(project: Project, name: str) -> None:
    path = project.root / name
    path.unlink(missing_ok=True)
    path.symlink_to(path)  # fails to open for root too, unlike a file without permissions

    page = project.complaint()

    assert f"{name}\n  wrong     the file can't be read: Too many levels of symbolic links\n" in page


def test_every_fault_of_every_layer_is_on_one_page(project: Project) -> None:
    project.write("settings.toml", "[default.database]\npoolmax = 5\npool_max = '7'\n[prodution]\n")
    project.write("settings.local.toml", "[server]\nport = true")
    project.write(".env", "APP_REDIS__TIMEOUT=fast\nbroken\n")
    project.mount("database_password", "")

    page = project.complaint("x", "app.name=a b", APP_ENV="prod", LOG_LEVEL="loud", APP__X="1")

    assert page.startswith("The settings have 12 faults, so nothing was started.\n\n")
    assert [entry.splitlines()[0] for entry in page.split("\n\n")[1:]] == [
        ".env line 2",
        "APP_ENV",
        "database.poolmax",
        "prodution",
        "database.pool_max",
        "server.port",
        "redis.timeout",
        "APP__X",
        "log.level",
        "database.password",
        "--set",
        "app.name",
    ]


def test_a_file_that_can_not_be_read_is_not_followed_by_guesses_about_its_content(project: Project) -> None:
    project.write("settings.local.toml", "[database\npassword = 'p'")

    page = project.complaint(APP_ENV="production", APP_EMAIL__ADAPTER="off")

    assert "database.password" not in page
    assert "jwt.secret" not in page
    assert page.startswith("The settings have 1 fault,")


def test_a_fault_in_a_weak_layer_counts_even_where_a_stronger_one_is_sound(project: Project) -> None:
    project.write(".env", "APP_DATABASE__POOL_MAX=lots\n")

    page = project.complaint(APP_DATABASE__POOL_MAX="20")

    assert "from      .env (APP_DATABASE__POOL_MAX)" in page


def test_an_unknown_name_that_is_not_ours_is_nobodys_fault(project: Project) -> None:
    settings = project.load(
        APPDATA="x", APPIMAGE="y", APPDIR="z", APPLICATION="w", HOSTNAME="v", POSTGRES_PASSWORD="u", DBPORT="t"
    )

    assert settings.notices == ()
