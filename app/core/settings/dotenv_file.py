"""Reads `.env`: plain NAME=value lines, nothing interpolated, nothing skipped in silence."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from .faults import Fault

if TYPE_CHECKING:
    from dotenv.parser import Binding

DOTENV = ".env"


def read_dotenv(root: Path) -> tuple[dict[str, str], list[Fault]]:
    """The variables of the file and what is wrong with it; a missing file is an empty one."""
    try:
        text = (root / DOTENV).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return {}, []
    except UnicodeDecodeError as error:
        return {}, [Fault(DOTENV, DOTENV, f"byte {error.start} is not UTF-8", "a text file in UTF-8")]
    except OSError as error:
        return {}, [Fault(DOTENV, DOTENV, f"the file can't be read: {error.strerror}")]
    from dotenv.parser import parse_stream  # noqa: PLC0415  (8 ms, for a folder that has such a file)

    return _variables(list(parse_stream(io.StringIO(text, newline=""))))


def _variables(lines: list[Binding]) -> tuple[dict[str, str], list[Fault]]:
    found: dict[str, str] = {}
    first_line: dict[str, int] = {}
    faults = []
    for line in lines:
        if wrong := _wrong(line, first_line):
            faults.append(wrong)
        elif line.key is not None and line.value is not None:
            found[line.key] = line.value
            first_line[line.key] = line.original.line
    return found, faults


def _wrong(line: Binding, first_line: dict[str, int]) -> Fault | None:
    # The line itself is not repeated: it may hold a secret.
    where = f"{DOTENV} line {line.original.line}"
    if line.error:
        return Fault(
            where, DOTENV, "this line can't be read", "NAME=value, the value in quotes if it holds spaces or #"
        )
    if line.key is not None and line.value is None:
        return Fault(where, DOTENV, f"{line.key} has no '=' after it", "NAME=value")
    if line.key in first_line:
        return Fault(where, DOTENV, f"{line.key} was already set in line {first_line[line.key]}", "each name once")
    return None
