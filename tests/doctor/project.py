"""A project folder of a test's own, with a PATH of its own, to be examined by the real checks."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.core.clock import Clock
from app.core.settings import PROJECT_ROOT
from app.doctor import Finding, Limits, Patient, admit, examine
from app.doctor.checks import Check
from tests.harness.settings import TestSettings

TOOLS = ("sh", "git")


@dataclass(frozen=True)
class Recorded:
    """What the real Docker client printed, and how it ended."""

    out: str = ""
    err: str = ""
    code: int = 0

    def script(self) -> str:
        return f"printf '%s\\n' {shlex.quote(self.out)}; printf '%s\\n' {shlex.quote(self.err)} >&2; exit {self.code}"


@dataclass(frozen=True)
class Project:
    """`environ` is all that the checks see of the environment; there is no Docker until `docker` puts one there."""

    root: Path
    environ: dict[str, str]
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def make(cls, root: Path) -> Project:
        (root / "bin").mkdir(parents=True)
        for tool in TOOLS:
            if found := shutil.which(tool):
                (root / "bin" / tool).symlink_to(found)
        for name in ("settings.toml", "migrations", "compose.yaml", "pyproject.toml"):
            (root / name).symlink_to(PROJECT_ROOT / name)
        shutil.copyfile(PROJECT_ROOT / "Makefile", root / "Makefile")
        return cls(root, {"PATH": str(root / "bin"), "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"})

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the project, in place of the one that may be linked there."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def use(self, settings: TestSettings) -> None:
        """Point the project at the services of a test."""
        self.environ.update(settings.environ)

    def docker(self, **recordings: Recorded) -> None:
        """A client that replays: `compose_version=Recorded(...)` answers `docker compose version ...`."""
        cases = [f"{shlex.quote(name.replace('_', ' '))}*) {said.script()};;" for name, said in recordings.items()]
        unknown = 'echo "not recorded: $*" >&2; exit 64'
        script = self.write("bin/docker", "\n".join(["#!/bin/sh", 'case "$*" in', *cases, "esac", unknown, ""]))
        script.chmod(0o755)

    def with_real_docker(self) -> Project:
        """With the client of this machine, and time for its engine, which other tests keep busy."""
        (self.root / "bin" / "docker").symlink_to(str(shutil.which("docker")))
        return self.unhurried()

    def unhurried(self) -> Project:
        """For what is not about the deadline of a check, which is held in test_runner.py."""
        return replace(self, limits=replace(self.limits, check=60))

    def patient(self, *overrides: str, clock: Clock | None = None) -> Patient:
        return admit(root=self.root, environ=self.environ, overrides=overrides, clock=clock, limits=self.limits)

    async def finding(self, check: Check, *overrides: str, clock: Clock | None = None) -> Finding:
        """What the check finds, through the doctor's own runner; its remedy is proven to be shell."""
        [finding] = await examine(self.patient(*overrides, clock=clock), [check])
        can_be_typed(finding)
        return finding


def can_be_typed(finding: Finding) -> None:
    """Every remedy is something a shell can read."""
    for line in finding.remedy.splitlines():
        read = subprocess.run(["/bin/sh", "-n", "-c", line], capture_output=True, text=True, check=False)
        assert read.returncode == 0, f"{finding.check}: {line}: {read.stderr}"


MakeProject = Callable[[], Project]
