"""Scripts with Windows line ends: in a container they die with 'no such file or directory'."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from app.doctor.finding import Finding, failed, ok, warning
from app.doctor.once import in_thread
from app.doctor.patient import Patient
from app.doctor.shell import NotInstalled, run
from app.doctor.words import listed, number

# Made by tools, or another repository's business.
LEFT_OUT = frozenset({".git", ".venv", ".local", "node_modules", "__pycache__"})
FOLDERS = ("docker", ".ci")
READ_BY_SHELL = (".sh", ".mk")
LOOKED_AT = 1_000_000  # bytes of one file


async def line_endings(patient: Patient) -> Finding:
    """The kernel takes the interpreter's name to the end of the line, carriage return included."""
    wrong = await in_thread(lambda: [str(path) for path in _with_crlf(patient.root)])
    if wrong:
        files = " ".join(map(shlex.quote, wrong))
        return failed(
            "line-endings",
            f"{number(len(wrong), 'script')} with Windows line ends: {listed(wrong)}",
            f"perl -pi -e 's/\\r$//' {files}",
            "git config core.autocrlf input   # so that the next checkout keeps them",
        )
    if await _git_rewrites(patient):
        return warning(
            "line-endings",
            "git is set to write Windows line ends (core.autocrlf=true): the next checkout breaks every script",
            "git config core.autocrlf input",
        )
    return ok("line-endings", "scripts end their lines as containers need it")


def _with_crlf(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - LEFT_OUT)
        for name in sorted(files):
            path = Path(folder, name)
            if _has_crlf(path, path.relative_to(root)):
                yield path.relative_to(root)


def _has_crlf(path: Path, relative: Path) -> bool:
    try:
        with path.open("rb") as file:
            if not _is_script(relative) and file.read(2) != b"#!":
                return False
            file.seek(0)
            text = file.read(LOOKED_AT)
    except OSError:
        return False
    return b"\r\n" in text and b"\0" not in text


def _is_script(relative: Path) -> bool:
    return relative.parts[0] in FOLDERS or relative.name == "Makefile" or relative.suffix in READ_BY_SHELL


async def _git_rewrites(patient: Patient) -> bool:
    if _attributes_decide(patient.root) or not (patient.root / ".git").exists():
        return False
    try:
        said = await run("git", "config", "--get", "core.autocrlf", environ=patient.environ, folder=patient.root)
    except NotInstalled:
        return False
    return said.out == "true"


def _attributes_decide(root: Path) -> bool:
    """A rule in .gitattributes is stronger than anybody's git configuration."""
    try:
        return "eol=lf" in (root / ".gitattributes").read_text(encoding="utf-8")
    except OSError:
        return False
