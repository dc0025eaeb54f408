"""The first sign-in of a newcomer, as `app dev` tells it."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.database import Database
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.features.identity.models import Visitor
from app.features.identity.service.first_admin import EMAIL, first_sign_in
from app.features.identity.service.sign_in import prove_password
from app.features.identity.service.users import find_user, set_password
from tests.features.identity.people import PASSWORD, make_person
from tests.harness.settings import TestSettings


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with open_resources(settings(), Lifecycle()) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "first-sign-in"


def kept_in(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""


def rights_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def put_there(file: Path, text: str, *, rights: int) -> None:
    file.parent.mkdir()
    file.write_text(text)
    file.chmod(rights)


async def test_the_first_start_makes_an_administrator_and_tells_the_password(resources: Resources, file: Path) -> None:
    told = await first_sign_in(resources, file=file)

    password = kept_in(file)
    proven = await prove_password(resources, Visitor("127.0.0.1"), email=EMAIL, password=password)
    assert told == {"Sign in": f"{EMAIL} with the password {password}"}
    assert (proven.user.role, len(password)) == ("admin", 24)
    assert rights_of(file) == 0o600


async def test_later_starts_name_the_file_until_the_password_is_another(resources: Resources, file: Path) -> None:
    await first_sign_in(resources, file=file)
    password = kept_in(file)

    second = await first_sign_in(resources, file=file)
    kept = kept_in(file)
    await set_password(resources, await find_user(resources.database, EMAIL), PASSWORD)
    third = await first_sign_in(resources, file=file)

    assert second == {"Sign in": f"{EMAIL} with the password in {file}"}
    assert kept == password
    assert third == {}


async def test_where_somebody_is_there_already_nobody_is_made(resources: Resources, file: Path, db: Database) -> None:
    await make_person(db)

    told = await first_sign_in(resources, file=file)

    assert (told, kept_in(file)) == ({}, "")
    assert await db.fetch_val("SELECT count(*) FROM users") == 1


async def test_a_new_database_gets_a_new_password_in_a_file_for_its_owner_alone(
    resources: Resources, file: Path
) -> None:
    put_there(file, "of another database", rights=0o644)

    await first_sign_in(resources, file=file)

    assert "another" not in kept_in(file)
    assert rights_of(file) == 0o600
