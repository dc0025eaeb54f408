"""A copy of this project in a folder of its own, as a clone would be: tests neither read nor leave private files."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    *("app", "migrations", "docker"),
    *("compose.yaml", "compose.test.yaml", ".dockerignore"),
    *("pyproject.toml", "requirements.txt", "requirements-dev.txt", "settings.toml"),
)


def copy_project(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for part in PARTS:
        source, target = ROOT / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    return folder
