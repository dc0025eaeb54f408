"""The interpreter and its packages against what the project asks for."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from app.doctor.finding import Finding, failed, ok, skipped, warning
from app.doctor.once import in_thread
from app.doctor.patient import Patient
from app.doctor.words import listed

LOCK = "requirements-dev.txt"
# One line of a lock: name, optional extras, version, optional marker; hashes follow on lines of their own.
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)\s*(;[^\\]*)?")


async def python(patient: Patient) -> Finding:
    """The version that pyproject.toml demands, and the project's own environment rather than another one."""
    running = ".".join(map(str, sys.version_info[:3]))
    wanted = _wanted(patient.root)
    if sys.version_info[:2] < wanted:
        needed = ".".join(map(str, wanted))
        return failed(
            "python",
            f"this is Python {running}, but pyproject.toml asks for {needed} or newer",
            f"rm -rf .venv && make install PYTHON=python{needed}",
        )
    if _elsewhere(patient.root / ".venv"):
        return warning(
            "python",
            f"Python {running} of {sys.prefix} runs this, not the one of .venv",
            "make install && .venv/bin/app doctor",
        )
    return ok("python", f"Python {running} in {sys.prefix}")


def _elsewhere(venv: Path) -> bool:
    return venv.is_dir() and Path(sys.prefix).resolve() != venv.resolve()


def _wanted(root: Path) -> tuple[int, ...]:
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    except (OSError, KeyError, ValueError):
        return (0,)
    found = re.search(r">=\s*(\d+)\.(\d+)", project.get("requires-python", ""))
    return tuple(map(int, found.groups())) if found else (0,)


async def venv(patient: Patient) -> Finding:
    """What is installed against the lock; a pull that moved the lock leaves an environment behind."""
    lock = patient.root / LOCK
    if not lock.exists():
        return skipped("venv", f"there is no {LOCK} here, so nothing to compare with")
    if not (patient.root / ".venv").is_dir():
        return skipped("venv", "there is no .venv yet; make install makes it")
    wrong = await in_thread(lambda: _differences(lock, patient.root / ".venv"))
    if wrong:
        return failed(
            "venv", f".venv does not hold what {LOCK} locks: {listed(wrong)}", "rm -f .venv/.installed && make install"
        )
    return ok("venv", f".venv holds what {LOCK} locks")


def _differences(lock: Path, folder: Path) -> list[str]:
    names = [info.name.removesuffix(".dist-info") for info in folder.glob("lib/python*/site-packages/*.dist-info")]
    installed = {normal(name.rpartition("-")[0]): name.rpartition("-")[2] for name in names}
    pins = filter(None, map(PIN.match, lock.read_text(encoding="utf-8").splitlines()))
    return [line for pin in pins if (line := _difference(pin[1], pin[2], pin[3], installed.get(normal(pin[1]))))]


def _difference(name: str, wanted: str, marker: str | None, found: str | None) -> str:
    if found == wanted or (found is None and marker):  # a marker leaves packages out on purpose
        return ""
    return f"{name} is {found}, not {wanted}" if found else f"{name} is missing"


def normal(name: str) -> str:
    """Package names are compared without regard to case and separators."""
    return re.sub(r"[-_.]+", "-", name).lower()
