"""Reads a file whose whole content is one value."""

from __future__ import annotations

from pathlib import Path

LARGEST = 64 * 1024


class BadValueFile(Exception):
    """The file can't be used as a value."""


def read_value_file(path: Path) -> str:
    """The text of the file without the newline at its end. Raises `BadValueFile` saying why not."""
    try:
        if path.is_dir():
            raise BadValueFile("this is a folder, not a file")
        # A pipe or a device could block the start or never end.
        if path.exists() and not path.is_file():
            raise BadValueFile("this is not a regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadValueFile(f"the file can't be read: {reason}") from None
    return _text(content)


def _text(content: bytes) -> str:
    if len(content) > LARGEST:
        raise BadValueFile(f"the file is larger than {LARGEST} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise BadValueFile("the file is not text in UTF-8") from None
    # Editors and `echo` end a file with a newline that nobody means; a second one is taken as meant.
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not text:
        raise BadValueFile("the file is empty")
    return text
