"""From what a person types (`head`, `0004`, `+1`, `-2`, `base`) to the revisions to apply or to undo."""

from __future__ import annotations

import re
from enum import Enum

from app.core.migrations.errors import UnknownTarget
from app.core.migrations.revisions import History, Revision

BASE = "base"
HEAD = "head"


class Direction(Enum):
    """Which of a revision's two functions runs."""

    UP = "upgrade"
    DOWN = "downgrade"


def steps_up(history: History, current: str | None, target: str) -> list[Revision]:
    """The revisions to apply, oldest first; none when the target is reached or passed."""
    start = history.position(current)
    return list(history.revisions[start : _position(history, start, target)])


def steps_down(history: History, current: str | None, target: str) -> list[Revision]:
    """The revisions to undo, newest first; none when the target is reached or still ahead."""
    start = history.position(current)
    return list(reversed(history.revisions[_position(history, start, target) : start]))


def _position(history: History, start: int, target: str) -> int:
    if target == HEAD:
        return len(history.revisions)
    if target == BASE:
        return 0
    if re.fullmatch(r"[+-]\d+", target):
        return min(max(start + int(target), 0), len(history.revisions))
    if target not in history.ids:
        raise UnknownTarget(f"There is no revision {target}. Known are: {', '.join([BASE, *history.ids, HEAD])}.")
    return history.position(target)
