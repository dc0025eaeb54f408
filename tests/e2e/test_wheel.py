"""What somebody has who installs the program from a wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

ROOT = Path(__file__).parents[2]


def test_a_wheel_has_every_file_that_stands_beside_the_modules(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md"):
        copy(ROOT / name, tmp_path)
    copytree(ROOT / "app", tmp_path / "app", ignore=ignore_patterns("__pycache__"))
    beside = {each.relative_to(tmp_path).as_posix() for each in (tmp_path / "app").rglob("*") if each.is_file()}

    code = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True)

    (wheel,) = tmp_path.glob("*.whl")
    assert "app/features/welcome/page.html" in beside
    assert beside <= set(zipfile.ZipFile(wheel).namelist())
