"""A PostgreSQL data folder made once, copied for each test: making one takes half a second."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pytest

from app.embedded import start_postgres
from tests.harness.background import BackgroundLoop
from tests.harness.leftovers import service_folder


class Login(TypedDict):
    user: str
    password: str
    database: str


LOGIN = Login(user="plinth", password='it\'s "one"', database="plinth")


@pytest.fixture(scope="session")
def made_folder(background: BackgroundLoop) -> Iterator[Path]:
    with service_folder("made") as folder:
        server = background.call(start_postgres(folder / "postgres", durable=False, **LOGIN))
        background.call(server.stop())
        yield server.data_dir


@pytest.fixture
def data_dir(made_folder: Path, service_dir: Path) -> Path:
    """A data folder of this test's own, with nobody in it."""
    folder = service_dir / "postgres"
    shutil.copytree(made_folder, folder)
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, made_folder.stat().st_uid, made_folder.stat().st_gid)
    return folder
