"""Makes the secrets that nobody set, outside production, and keeps them so that every process agrees."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from .value_file import BadValueFile, read_value_file

FOLDER = Path(".local") / "secrets"


def secret_path(key: str) -> Path:
    """Where the secret of the key is kept, seen from the root."""
    return FOLDER / key.replace(".", "_")


def kept_secret(root: Path, key: str) -> str:
    """The secret of the key, made now if there is none yet. Raises `BadValueFile`."""
    path = root / secret_path(key)
    if not path.exists():
        try:
            _create(path)
        except OSError as error:
            raise BadValueFile(f"it can't be kept there: {error.strerror}") from None
    return read_value_file(path)


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
        # A link appears whole or not at all, and fails for all but the first of several processes.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
