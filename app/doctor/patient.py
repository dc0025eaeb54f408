"""What a check may look at: the folder, the environment, the settings, the engine, the database."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from app.core.clock import Clock, SystemClock
from app.core.settings import PROJECT_ROOT, Settings, SettingsError, load_settings
from app.doctor.contact import Contact, meet
from app.doctor.docker import Docker
from app.doctor.embedded import Embedded, find_embedded
from app.doctor.once import Once


@dataclass(frozen=True)
class Limits:
    """Where good ends; seconds and bytes."""

    check: float = 5.0
    skew_warning: float = 1.0
    skew_failed: float = 30.0
    disk_warning: int = 2_000_000_000
    disk_failed: int = 200_000_000


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Examined by every check; `settings` is None where `faults` says why."""

    root: Path
    environ: Mapping[str, str]
    overrides: tuple[str, ...] = ()
    clock: Clock = field(default_factory=SystemClock)
    limits: Limits = field(default_factory=Limits)
    settings: Settings | None
    faults: SettingsError | None = None
    embedded: Embedded | None = None
    docker: Docker
    contact: Once[Contact]

    @property
    def checkout(self) -> bool:
        """False in an image, where neither make nor Docker is at hand."""
        return (self.root / "Makefile").exists()

    @property
    def start(self) -> str:
        """What starts the service here."""
        return "make run" if self.checkout else f"{self.program} serve"

    @property
    def program(self) -> str:
        """How the program is typed here."""
        return ".venv/bin/app" if (self.root / ".venv" / "bin" / "app").exists() else "app"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no finding may repeat, whatever an error message said; a password that equals a name is none."""
        if self.settings is None:
            return ()
        database, redis = self.settings.database, urlsplit(self.settings.redis.url.reveal())
        found = {database.password.reveal(), redis.password or ""}
        return tuple(found - {"", database.user, database.name})


def _load(
    root: Path, environ: Mapping[str, str], overrides: Sequence[str]
) -> tuple[Settings | None, SettingsError | None]:
    try:
        return load_settings(root=root, environ=environ, overrides=overrides), None
    except SettingsError as faults:
        return None, faults


def admit(
    *,
    root: Path = PROJECT_ROOT,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    clock: Clock | None = None,
    limits: Limits | None = None,
) -> Patient:
    """Read what can be read without asking anybody; faults in the settings stop nothing here."""
    environ = os.environ if environ is None else environ
    settings, faults = _load(root, environ, overrides)
    embedded = find_embedded(root, settings) if settings else None
    if settings and embedded:
        settings = replace(settings, database=embedded.database, redis=embedded.redis)
    clock = clock or SystemClock()
    return Patient(
        root=root,
        environ=environ,
        overrides=tuple(overrides),
        clock=clock,
        limits=limits or Limits(),
        settings=settings,
        faults=faults,
        embedded=embedded,
        docker=Docker(root, environ),
        contact=Once(lambda: meet(settings, clock)),
    )
