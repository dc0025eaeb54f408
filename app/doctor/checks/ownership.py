"""Who owns the files that commands write."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from app.doctor.checks.folders import WRITTEN
from app.doctor.finding import Finding, failed, ok, skipped, warning
from app.doctor.once import in_thread
from app.doctor.patient import Patient
from app.doctor.words import user_name

CACHES = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".hypothesis")
ENOUGH = 1000  # files of others; more of them say nothing new


async def ownership(patient: Patient) -> Finding:
    """A run with sudo leaves files that the same person can't touch without it."""
    if os.geteuid() == 0:
        return _as_root(patient)
    others = await in_thread(lambda: list(islice(_of_others(patient.root), ENOUGH)))
    if not others:
        return ok("ownership", "every file that commands write is yours")
    return _left_behind(patient.root, others)


def _as_root(patient: Patient) -> Finding:
    person = patient.environ.get("SUDO_USER", "root")
    if person == "root":
        return skipped("ownership", "root may touch every file")
    return warning(
        "ownership",
        f"this runs as root through sudo: what it writes will not belong to {person}",
        f"{patient.program} doctor   # without sudo",
    )


def _left_behind(root: Path, others: list[tuple[Path, int]]) -> Finding:
    folders = sorted({path.relative_to(root).parts[0] for path, _ in others})
    owners = ", ".join(sorted({user_name(uid) for _, uid in others}))
    count = f"{ENOUGH} files or more" if len(others) == ENOUGH else f"{len(others)} of the files"
    example = others[0][0].relative_to(root)
    return failed(
        "ownership",
        f"{count} in {', '.join(folders)} belong to {owners} (such as {example}): left behind by a run with sudo?",
        f'sudo chown -R "$(id -u):$(id -g)" {" ".join(map(shlex.quote, folders))}',
    )


def _of_others(root: Path) -> Iterator[tuple[Path, int]]:
    for name in (*WRITTEN, *CACHES):
        yield from _foreign(root / name)
        for folder, inner, files in os.walk(root / name):
            for entry in (*inner, *files):
                yield from _foreign(Path(folder, entry))


def _foreign(path: Path) -> Iterator[tuple[Path, int]]:
    try:
        owner = path.lstat().st_uid
    except OSError:
        return  # gone since it was listed
    if owner != os.geteuid():
        yield path, owner
