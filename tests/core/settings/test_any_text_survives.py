"""Any text at all survives as a secret, whichever layer carries it."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, example, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from tests.core.settings.project import Project

# Everything but NUL, which no environment can hold, and lone surrogates, which are no text.
SECRETS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
FREELY = tries(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LOOKS_LIKE = (
    "12345",
    "1e5",
    "true",
    "1_000",
    "+5",
    "@int 5",
    "null",
    "[1]",
    " ",
    "a\nb",
    "a\r\n",
    "a\r",
    "\r",
    "$HOME",
    "'",
    '"',
    "\\",
)


def awkward(test: Callable[..., None]) -> Callable[..., None]:
    for text in LOOKS_LIKE:
        test = example(text=text)(test)
    return test


@awkward
@given(text=SECRETS)
@FREELY
def test_through_the_environment(project: Project, text: str) -> None:
    assert project.load(DB_PASSWORD=text).database.password.reveal() == text


@awkward
@given(text=SECRETS)
@FREELY
def test_through_dotenv(project: Project, text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    project.write(".env", f"# before\nDB_PASSWORD='{quoted}'\nDB_NAME=after\n")

    database = project.load().database

    assert (database.password.reveal(), database.name) == (text, "after")


@awkward
@given(text=SECRETS)
@FREELY
def test_through_a_secret_file(project: Project, text: str) -> None:
    project.mount("database_password", f"{text}\n")

    if held := text.removesuffix("\r"):  # the last line may end as Windows ends one
        assert project.load().database.password.reveal() == held
    else:
        assert "\n  wrong     the file is empty\n" in project.complaint()


@awkward
@given(text=SECRETS)
@FREELY
def test_through_a_local_file(project: Project, text: str) -> None:
    escaped = "".join(f"\\U{ord(char):08x}" for char in text)
    project.write("settings.local.toml", f'[database]\npassword = "{escaped}"\n')

    assert project.load().database.password.reveal() == text


@awkward
@given(text=SECRETS)
@FREELY
def test_through_the_command_line(project: Project, text: str) -> None:
    assert project.load(f"database.password={text}").database.password.reveal() == text


@given(text=SECRETS)
@FREELY
def test_through_a_url(project: Project, text: str) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in text.encode())

    database = project.load(DATABASE_URL=f"postgresql://me:{encoded}@db/shop").database

    assert (database.password.reveal(), database.host, database.name) == (text, "db", "shop")


@given(text=st.text())
@FREELY
def test_any_value_is_either_read_or_explained(project: Project, text: str) -> None:
    environ = {
        "PORT": text,
        "LOG_LEVEL": text,
        "CORS_ORIGINS": text,
        "DATABASE_URL": text,
        "REDIS_URL": text,
        "DB_SSL": text,
    }

    page = project.complaint(**environ)

    assert page.count("\n  wrong     ") >= 4
