"""Exceptions as part of a line: where and what, without local variables and without the values of a row.

Both of structlog's default tracebacks print local variables: passwords, tokens, whole requests. PostgreSQL's DETAIL
repeats the row that it refused ("Failing row contains (...)"), and asyncpg adds it to the message.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import ExcInfo

_to_dicts = ExceptionDictTransformer(show_locals=False)
DETAIL = re.compile(r"\nDETAIL:.*?(?=\nHINT:|\Z)", re.DOTALL)


def as_dicts(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """The exception and what led to it, for a machine."""
    stacks = _to_dicts(exc_info)
    for stack in _all(stacks):
        stack["exc_value"] = DETAIL.sub("", stack["exc_value"])
    return stacks


def _all(stacks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for stack in stacks:
        yield stack
        for group in stack.get("exceptions", ()):
            yield from _all(group)


def as_text(stream: TextIO, exc_info: ExcInfo) -> None:
    """The interpreter's own traceback, for a person."""
    text = "".join(traceback.format_exception(*exc_info))
    for said in filter(DETAIL.search, map(str, _chain(exc_info[1]))):
        # Inside a group each line of it is indented.
        anywhere = r"\n[ |]*".join(map(re.escape, said.split("\n")))
        text = re.sub(anywhere, lambda _, said=said: DETAIL.sub("", said), text)  # type: ignore[misc]
    stream.write("\n" + text.rstrip("\n"))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
