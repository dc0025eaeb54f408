"""A secret prints nowhere."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict

import orjson
import pytest

from app.core.settings import Secret, SecretUrl
from app.core.settings.secret import MASK
from tests.core.settings.project import Project

CANARY = "canary-51e0"


@pytest.fixture(params=["secret", "url"])
def secret(request: pytest.FixtureRequest) -> Secret:
    return Secret(CANARY) if request.param == "secret" else SecretUrl(f"redis://:{CANARY}@h/0", "redis://***@h/0")


def test_no_way_of_printing_shows_it(secret: Secret) -> None:
    shown = (str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, f"{secret:>60}")  # noqa: UP031

    assert not any(CANARY in text for text in shown)


def test_a_plain_secret_prints_as_stars() -> None:
    assert str(Secret(CANARY)) == MASK
    assert repr(Secret(CANARY)) == f"Secret('{MASK}')"


def test_it_is_revealed_on_demand(secret: Secret) -> None:
    assert CANARY in secret.reveal()


@pytest.mark.parametrize("copying", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_does_not_travel(secret: Secret, copying: object) -> None:
    assert callable(copying)

    with pytest.raises(TypeError, match="does not travel") as raised:
        copying(secret)

    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("dumps", [json.dumps, orjson.dumps])
def test_it_does_not_become_json(secret: Secret, dumps: object) -> None:
    assert callable(dumps)

    with pytest.raises(TypeError) as raised:
        dumps({"password": secret})

    assert CANARY not in str(raised.value)


def test_it_has_no_attributes_to_look_into(secret: Secret) -> None:
    assert not hasattr(secret, "__dict__")


def test_a_log_line_does_not_show_it(secret: Secret, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("password %s %r", secret, {"password": secret})

    assert CANARY not in caplog.text


def test_a_traceback_with_locals_does_not_show_it(secret: Secret) -> None:
    def fail(password: Secret) -> None:
        raise RuntimeError(password)

    with pytest.raises(RuntimeError) as raised:
        fail(secret)

    found = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    assert CANARY not in "".join(found.format())


def test_equality_is_by_text_and_only_between_secrets() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("é\udce9") == Secret("é\udce9")
    assert Secret("a") != "a"


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret("x")


def test_the_settings_print_without_their_secrets(project: Project) -> None:
    settings = project.load(DB_PASSWORD=CANARY, REDIS_URL=f"redis://me:{CANARY}@cache:6379/1")

    assert CANARY not in repr(settings)
    assert settings.redis.url.reveal() == f"redis://me:{CANARY}@cache:6379/1"
    assert str(settings.redis.url) == f"redis://{MASK}@cache:6379/1"
    with pytest.raises(TypeError):
        asdict(settings.database)


def test_no_fault_repeats_a_secret(project: Project) -> None:
    project.write("settings.toml", f"[default.database]\npassword = '{CANARY}'\nurl = 'mysql://me:{CANARY}@h/n'\n")
    project.write("settings.local.toml", f"[database]\npassword = ['{CANARY}']\n")
    project.write(".env", f"DB_PASSWORD={CANARY}\nREDIS_URL=redis://me:{CANARY}\nDB_PASSWORD={CANARY}\n")
    project.mount("database_password", f"{CANARY}\0")
    project.mount("app_database__passwrd", CANARY)

    page = project.complaint(f"database.passwrd={CANARY}", DATABASE_URL=f"postgresql://me:{CANARY}/n")

    assert CANARY not in page
    assert page.startswith("The settings have 9 faults,")
