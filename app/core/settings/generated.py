"""Makes the secrets that nobody set, outside production, and keeps them so that every process agrees."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

FOLDER = Path(".local") / "secrets"


class NotKept(Exception):
    """The secret could not be written or read back."""


def secret_path(key: str) -> Path:
    """Where the secret of the key is kept, from the root."""
    return FOLDER / key.replace(".", "_")


def kept_secret(root: Path, key: str) -> str:
    """The secret of the key, made now if there is none yet. Raises `NotKept`."""
    path = root / secret_path(key)
    try:
        if not path.exists():
            _create(path)
        text = path.read_text("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise NotKept(f"{secret_path(key)} can't be used: {reason}") from None
    if not text:
        raise NotKept(f"{secret_path(key)} is empty; delete it to have a new one made")
    return text


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        # A link appears whole or not at all, and fails for all but the first of several processes.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
