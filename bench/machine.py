"""Where and with what something was measured: enough to judge a figure by, nothing that names a machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from app.core.settings import PROJECT_ROOT
from app.embedded.binaries import postgres_program, redis_program

GIB = 1024**3


@dataclass(frozen=True)
class Machine:
    """What it has, in general terms; `memory` in GiB."""

    cores: int
    memory: int
    cpu: str
    system: str

    @classmethod
    def this(cls) -> Machine:
        memory = round(psutil.virtual_memory().total / GIB)
        return cls(os.cpu_count() or 1, memory, _cpu(), f"{platform.system()} {platform.machine()}")


def _cpu() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _text(Path("/proc/cpuinfo")), re.MULTILINE)
    return found[1] if found else platform.processor() or "unknown"


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def today() -> str:
    return datetime.now(UTC).date().isoformat()


def commit() -> str:
    """The short name of what is checked out, with a `+` where files differ from it; `unknown` without git."""
    named, changed = (_git("rev-parse", "--short", "HEAD"), _git("status", "--porcelain", "--untracked-files=no"))
    return f"{named}{'+' if changed else ''}" if named else "unknown"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def installed(*packages: str) -> dict[str, str]:
    """Versions in this environment, with those of Python and the services from wheels."""
    services = {"PostgreSQL": _said(postgres_program("postgres")), "Redis": _said(redis_program())}
    return {"Python": platform.python_version(), **services, **{name: version(name) for name in packages}}


def pinned(requirements: Path, *packages: str) -> dict[str, str]:
    """Versions that a lock file asks for, of those packages that are in it."""
    found = dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[.*\])?==([^\s;\\]+)", requirements.read_text(), re.MULTILINE))
    return {name: found[name] for name in packages if name in found}


def _said(program: Path) -> str:
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout)
    return found[0] if found else "unknown"
