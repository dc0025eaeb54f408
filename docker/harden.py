"""Turns the Python base into a place to run only: a user for the service, and nothing that installs packages."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

USER_ID = 10001
BIN = Path("/usr/local/bin")
# Distributions keep the wheels that ensurepip unpacks here.
WHEELS = Path("/usr/share/python-wheels")


def installers() -> list[Path]:
    """Everything of pip: the packages, their metadata, the commands, the wheels that would bring them back."""
    specs = [spec for name in ("pip", "ensurepip") if (spec := find_spec(name))]
    packages = [Path(folder) for spec in specs for folder in spec.submodule_search_locations or ()]
    metadata = [found for package in packages for found in package.parent.glob("pip-*.dist-info")]
    return [path for path in (*packages, *metadata, *BIN.glob("pip*"), WHEELS) if path.exists()]


def remove(path: Path) -> None:
    """Delete a file or a tree, and forget when: two builds give the same layer."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    os.utime(path.parent, (0, 0))


def append(file: str, line: str) -> None:
    """Add a line to one of the account files, whose time would make the layer differ too."""
    with Path(file).open("a") as table:
        table.write(line + "\n")
    os.utime(file, (0, 0))
    os.utime(Path(file).parent, (0, 0))


if __name__ == "__main__":
    append("/etc/passwd", f"plinth:x:{USER_ID}:{USER_ID}::/srv/plinth:/usr/sbin/nologin")
    append("/etc/group", f"plinth:x:{USER_ID}:")
    for installer in installers():
        remove(installer)
