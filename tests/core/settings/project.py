"""A project folder made for one test, and the settings that are read from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.core.settings import Settings, SettingsError, load_settings
from tests.harness.settings import SECRETS

# All that an empty project lacks in production, but for the password of the database.
PRODUCTION = {"APP_ENV": "production", "APP_EMAIL__ADAPTER": "off", **SECRETS}


@dataclass(frozen=True)
class Project:
    """A folder with an empty settings.toml; `mounted` stands for /run/secrets."""

    root: Path

    @property
    def mounted(self) -> Path:
        return self.root / "run" / "secrets"

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def mount(self, name: str, text: str | bytes) -> Path:
        return self.write(f"run/secrets/{name}", text)

    def load(self, *overrides: str, **environ: str) -> Settings:
        return load_settings(root=self.root, environ=environ, overrides=overrides, secrets_folder=self.mounted)

    def complaint(self, *overrides: str, **environ: str) -> str:
        """The page a person reads, with this folder's name left out."""
        with pytest.raises(SettingsError) as raised:
            self.load(*overrides, **environ)
        return str(raised.value).replace(str(self.root), "ROOT")


@dataclass(frozen=True)
class Given:
    """What one case puts into a project: its files, its environment and its options."""

    env: dict[str, str] = field(default_factory=dict)
    files: dict[str, str | bytes] = field(default_factory=dict)
    options: tuple[str, ...] = ()


def put(project: Project, given: Given) -> None:
    for name, text in given.files.items():
        project.write(name, text)


def env(**variables: str) -> Given:
    return Given(env=variables)


def shared(text: str) -> Given:
    return Given(files={"settings.toml": text})


def dotenv(text: str | bytes) -> Given:
    return Given(files={".env": text})


def local(text: str | bytes) -> Given:
    return Given(files={"settings.local.toml": text})


def options(*overrides: str) -> Given:
    return Given(options=overrides)


def said(key: str, wrong: str, source: str, accepted: str = "", meant: str = "") -> str:
    """One entry of the page; `test_fault_page` holds a page in full."""
    lines = [key, f"  wrong     {wrong}", f"  from      {source}"]
    lines += [f"  accepted  {accepted}"] if accepted else []
    lines += [f"  did you mean {meant}?"] if meant else []
    return "\n".join(lines)
