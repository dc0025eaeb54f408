"""What is wrong with the settings, said so that a person can mend it without reading code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHOWN = 60


class Rejected(ValueError):
    """A value that its kind can't take: what is wrong, and sometimes what was probably meant."""

    def __init__(self, wrong: str, meant: str = "") -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.meant = meant


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: where, from which layer, what, and what would be right."""

    key: str
    layer: str
    wrong: str
    accepted: str = ""
    meant: str = ""

    def __str__(self) -> str:
        parts = [f"{self.key}: {self.wrong} [from {self.layer}]"]
        parts += [f"accepted: {self.accepted}"] if self.accepted else []
        parts += [f"did you mean {self.meant}?"] if self.meant else []
        return "; ".join(parts)


class SettingsError(Exception):
    """The settings have faults; `faults` holds all of them and `str()` is the page for the terminal."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(self._page())

    def _page(self) -> str:
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        return "\n\n".join([f"The settings have {count}, so nothing was started.", *map(_entry, self.faults)])


def _entry(fault: Fault) -> str:
    lines = [fault.key, f"  wrong     {fault.wrong}", f"  from      {fault.layer}"]
    lines += [f"  accepted  {fault.accepted}"] if fault.accepted else []
    lines += [f"  did you mean {fault.meant}?"] if fault.meant else []
    return "\n".join(lines)


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word most like `word`, or nothing; of several that are equally like it, the first."""
    words = list(known)
    close = difflib.get_close_matches(word, words, n=max(1, len(words)), cutoff=cutoff)
    # By itself it would give the last of them in the alphabet: a worker's port for APP_PORT.
    alike = [each for each in close if _likeness(each, word) == _likeness(close[0], word)]
    return min(alike, key=words.index, default="")


def _likeness(known: str, word: str) -> float:
    return difflib.SequenceMatcher(None, known, word).ratio()


def quote(text: str) -> str:
    """The text in quotes, control characters escaped, cut short when it is long."""
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
