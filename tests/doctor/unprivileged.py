"""Runs one check as a user without privileges: `python -m tests.doctor.unprivileged CHECK ROOT` prints its finding.

Permission bits do not bind root, so where the suite runs as root the check runs in a child that gives root away.
"""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401 - loaded at the first host name, which is too late here
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from app.core.settings import PROJECT_ROOT
from app.doctor import CHECKS, Finding, Status, admit, examine, name_of
from tests.doctor.project import Project, can_be_typed

NOBODY = 65534


def finding_of(check: str, project: Project, *overrides: str, through: Sequence[str] = ()) -> Finding:
    """The check's finding, made by somebody who is not root; `through` is a command that runs another one."""
    done = subprocess.run(
        [*through, sys.executable, "-m", "tests.doctor.unprivileged", check, str(project.root), *overrides],
        cwd=PROJECT_ROOT,
        env=project.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    finding = Finding(**{**told, "status": Status(told["status"])})
    can_be_typed(finding)
    return finding


def give_root_away() -> None:
    # In a user namespace of its own, this process is nobody outside already, and there is nobody else to become.
    with suppress(OSError):
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def main(check: str, root: str, *overrides: str) -> None:
    # Everything is imported by now: the interpreter itself may lie where only root can read.
    if os.geteuid() == 0:
        give_root_away()
    [wanted] = [each for each in CHECKS if name_of(each) == check]
    [finding] = asyncio.run(examine(admit(root=Path(root), overrides=overrides), [wanted]))
    sys.stdout.write(json.dumps(asdict(finding)))


if __name__ == "__main__":
    main(*sys.argv[1:])
