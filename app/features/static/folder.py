"""A folder of files, read whole at the start: what is not in it then has no address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

# All that is given away; a source map, an editor's copy or a script of another language is none of them.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file, whole in memory; `version` changes with its content."""

    content: bytes
    content_type: str
    version: str


def read_folder(folder: Path) -> dict[str, StaticFile]:
    """Every file that is served, by its path inside `folder`, which is written with slashes."""
    return {path.relative_to(folder).as_posix(): _read(path) for path in sorted(_found(folder))}


def _found(folder: Path) -> Iterator[Path]:
    """Files of known types. What begins with a dot is nobody's business, and a symlink may lead out of the folder."""
    for entry in os.scandir(folder):
        path = folder / entry.name
        if entry.name.startswith(".") or entry.is_symlink():
            continue
        if entry.is_dir():
            yield from _found(path)
        elif path.suffix in TYPES:
            yield path


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(content, TYPES[path.suffix], sha256(content).hexdigest()[:16])
