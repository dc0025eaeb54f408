"""One layer of the settings: what it gives, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .faults import Fault


@dataclass(frozen=True, slots=True)
class Given:
    """One key as one layer gives it, not yet read.

    `source` is the layer as a person would name it; `text` tells text from a typed TOML value, and
    `committed` marks a file that is under version control and may hold no secret.
    """

    key: str
    value: object
    source: str
    text: bool = True
    committed: bool = False


@dataclass(slots=True)
class Layer:
    """Everything from sources of one strength; `unread` when a file of it could not be read at all."""

    given: list[Given] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    unread: bool = False

    def joined(self, other: Layer) -> Layer:
        """Both as one layer: neither is stronger than the other."""
        return Layer(
            self.given + other.given,
            self.faults + other.faults,
            self.notices + other.notices,
            self.unread or other.unread,
        )
