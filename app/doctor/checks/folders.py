"""The folders that commands write to."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from app.doctor.finding import Finding, failed, ok, skipped
from app.doctor.patient import Patient
from app.doctor.words import listed, user_name

WRITTEN = (".local", ".venv", "docs")


async def folders(patient: Patient) -> Finding:
    """Asked of the system rather than tried: a doctor leaves no files behind."""
    if not patient.checkout:
        return skipped("folders", "this is not a checkout, so no command writes here")
    wrong = [name for name in _present(patient.root) if not _writable(patient.root / name)]
    if not wrong:
        return ok("folders", f"{', '.join(WRITTEN)} can be written")
    reasons = [f"{_shown(name)} {_reason(patient.root / name)}" for name in wrong]
    return failed("folders", f"can't be written: {listed(reasons)}", *(_opened(patient.root, name) for name in wrong))


def _present(root: Path) -> list[str]:
    """The root itself stands for those that are still to be made."""
    return [".", *(name for name in WRITTEN if (root / name).exists())]


def _writable(path: Path) -> bool:
    return path.is_dir() and os.access(path, os.W_OK | os.X_OK)


def _shown(name: str) -> str:
    return "the project's folder" if name == "." else name


def _reason(path: Path) -> str:
    if not path.is_dir():
        return "is a file, not a folder"
    if _read_only(path):
        return "lies on a read-only file system"
    owner = path.stat().st_uid
    return "is locked" if owner == os.geteuid() else f"belongs to {user_name(owner)}"


def _opened(root: Path, name: str) -> str:
    path, word = root / name, shlex.quote(name)
    if not path.is_dir():
        return f"mv {word} {word}.old"
    if _read_only(path):
        return f"sudo mount -o remount,rw {shlex.quote(str(_mount_of(path)))}"
    if os.geteuid() == 0:  # permission bits do not bind root: only the immutable flag does
        return f"chattr -i {word}"
    return f"chmod u+rwx {word}" if path.stat().st_uid == os.geteuid() else f'sudo chown -R "$(id -u):$(id -g)" {word}'


def _read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _mount_of(path: Path) -> Path:
    return next(place for place in (path.resolve(), *path.resolve().parents) if place.is_mount())
