"""Values read from files: found by name, or named by a variable, and refused when they are not values."""

from __future__ import annotations

import os

import pytest

from tests.core.settings.project import PRODUCTION, Project, said

CONTENT = "a file that holds the value and nothing else"


@pytest.mark.parametrize(
    "name", ["database_password", "DATABASE_PASSWORD", "db_password", "app_database__password", "database.password"]
)
def test_a_mounted_file_is_found_by_any_of_its_names(project: Project, name: str) -> None:
    path = project.mount(name, "hunter2\n")

    settings = project.load(DB_PASSWORD="weaker")

    assert settings.database.password.reveal() == "hunter2"
    assert settings.origins["database.password"] == f"secret file {path}"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        ("hunter2\n\n", "hunter2\n"),
        (" hunter2 ", " hunter2 "),
        ("hunter2\r", "hunter2\r"),
        ("-----BEGIN KEY-----\nabc\n-----END KEY-----\n", "-----BEGIN KEY-----\nabc\n-----END KEY-----"),
    ],
)
def test_one_newline_at_the_end_is_dropped(project: Project, content: str, text: str) -> None:
    project.mount("database_password", content)

    settings = project.load()

    assert settings.database.password.reveal() == text


@pytest.mark.parametrize("variable", ["DB_PASSWORD_FILE", "APP_DATABASE__PASSWORD_FILE"])
def test_a_variable_may_name_the_file(project: Project, variable: str) -> None:
    path = project.write("keys/password", "hunter2\n")

    absolute = project.load(**{variable: str(path)})
    relative = project.load(**{variable: "keys/password"})

    assert absolute.database.password.reveal() == relative.database.password.reveal() == "hunter2"
    assert absolute.origins["database.password"] == f"secret file {path}, named by environment ({variable})"


def test_any_key_may_come_from_a_file(project: Project) -> None:
    project.write("port", "9000\n")
    project.write("url", "postgresql://me:p%40ss@db/n\n")
    project.mount("db_ssl", "true\n")

    settings = project.load(PORT_FILE="port", DATABASE_URL_FILE="url")

    assert settings.server.port == 9000
    assert settings.database.password.reveal() == "p@ss"
    assert settings.database.sslmode == "require"


def test_a_file_named_in_the_environment_is_stronger_than_one_named_in_dotenv(project: Project) -> None:
    project.write(".env", "DB_PASSWORD_FILE=weak\n")
    project.write("weak", "weak")
    project.write("strong", "strong")

    assert project.load(DB_PASSWORD_FILE="strong").database.password.reveal() == "strong"


def test_other_peoples_files_are_left_alone_and_reported(project: Project) -> None:
    path = project.mount("tls.key", "x")
    project.mount("..data/x", "x")
    project.mount("folder/database_password", "x")

    settings = project.load()

    assert settings.notices == (f"Secret file {path} belongs to no setting and was not read.",)
    assert settings.origins["database.password"].startswith("generated")


def test_a_misspelled_file_is_reported_with_the_right_name(project: Project) -> None:
    path = project.mount("databse_password", "x")

    assert project.load().notices == (
        f"Secret file {path} belongs to no setting and was not read. Did you mean database_password?",
    )


def test_a_mounted_file_for_a_section_to_come_is_recognised(project: Project) -> None:
    path = project.mount("stripe_api_key", "x")

    assert project.load().notices == (
        f"Secret file {path} is recognised (section payment), but nothing in this version reads it.",
    )


def test_no_folder_of_mounted_files_is_no_fault(project: Project) -> None:
    assert not project.mounted.exists()

    assert project.load().notices == ()


BAD = {
    "an empty file": (b"", "the file is empty"),
    "a file with a newline only": (b"\n", "the file is empty"),
    "bytes that are no text": (b"\xff\xfe", "the file is not text in UTF-8"),
    "a huge file": (b"x" * 65537, "the file is larger than 65536 bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_value_is_explained(project: Project, name: str) -> None:
    content, wrong = BAD[name]
    project.mount("database_password", content)

    page = project.complaint(**PRODUCTION)

    entry = said("database.password", wrong, "secret file ROOT/run/secrets/database_password", CONTENT)
    assert page == f"The settings have 1 fault, so nothing was started.\n\n{entry}"


def test_a_file_that_is_not_there_is_explained(project: Project) -> None:
    page = project.complaint(DB_PASSWORD_FILE="nowhere")

    assert page.endswith(
        said(
            "database.password",
            "the file can't be read: No such file or directory",
            "secret file ROOT/nowhere, named by environment (DB_PASSWORD_FILE)",
            CONTENT,
        )
    )


def test_a_folder_of_mounted_files_that_can_not_be_read_is_explained(project: Project) -> None:
    project.mounted.parent.mkdir()
    project.mounted.symlink_to(project.mounted)

    page = project.complaint()

    wrong = "the folder can't be read: Too many levels of symbolic links"
    assert page.endswith(said("ROOT/run/secrets", wrong, "secret files"))


def test_a_folder_for_a_file_is_explained(project: Project) -> None:
    project.mount("database_password/x", "x")

    page = project.complaint()

    assert "wrong     this is a folder, not a file\n" in page


def test_a_pipe_for_a_file_does_not_block_the_start(project: Project) -> None:
    project.mounted.mkdir(parents=True)
    os.mkfifo(project.mounted / "database_password")

    page = project.complaint()

    assert "wrong     this is not a regular file\n" in page


def test_an_empty_variable_for_a_file_is_explained(project: Project) -> None:
    page = project.complaint(DB_PASSWORD_FILE="")

    assert page.endswith(
        said("database.password", "the variable is empty", "environment (DB_PASSWORD_FILE)", "the path of a file")
    )


@pytest.mark.parametrize("value", ["DB_PASSWORD", "APP_DATABASE__PASSWORD"])
def test_a_value_and_a_file_in_one_layer_are_a_fault(project: Project, value: str) -> None:
    project.write("secret", "hunter2")

    page = project.complaint(**{value: "hunter2", "DB_PASSWORD_FILE": "secret"})

    assert page.endswith(
        said(
            "database.password",
            f"{value} and DB_PASSWORD_FILE are both set in the same layer",
            "environment",
            "one of the two",
        )
    )


def test_a_named_file_and_a_mounted_one_may_not_differ(project: Project) -> None:
    project.write("one", "one")
    project.mount("database_password", "two")

    page = project.complaint(DB_PASSWORD_FILE="one")

    assert page.endswith(
        said(
            "database.password",
            "secret file ROOT/run/secrets/database_password sets this too, to another value",
            "secret file ROOT/one, named by environment (DB_PASSWORD_FILE)",
            "one of the two",
        )
    )


def test_a_mounted_file_that_looks_like_ours_is_a_fault(project: Project) -> None:
    project.mount("APP_DATABASE_PASSWORD", "x")

    page = project.complaint()

    assert page.endswith(
        said(
            "APP_DATABASE_PASSWORD",
            "no setting has this name",
            "secret file ROOT/run/secrets/APP_DATABASE_PASSWORD",
            meant="APP_DATABASE__PASSWORD",
        )
    )
