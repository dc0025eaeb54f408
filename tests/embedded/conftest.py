"""A PostgreSQL data folder made once, copied for each test: making one takes half a second."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TypedDict

import pytest

from app.embedded import start_postgres
from tests.harness.background import BackgroundLoop


class Login(TypedDict):
    user: str
    password: str
    database: str


LOGIN = Login(user="plinth", password='it\'s "one"', database="plinth")


@pytest.fixture(scope="session")
def made_folder(tmp_path_factory: pytest.TempPathFactory, background: BackgroundLoop) -> Path:
    folder = tmp_path_factory.mktemp("made") / "postgres"
    server = background.call(start_postgres(folder, durable=False, **LOGIN))
    background.call(server.stop())
    return folder


@pytest.fixture
def data_dir(made_folder: Path, tmp_path: Path) -> Path:
    """A data folder of this test's own, with nobody in it."""
    folder = tmp_path / "postgres"
    shutil.copytree(made_folder, folder)
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, made_folder.stat().st_uid, made_folder.stat().st_gid)
    return folder
