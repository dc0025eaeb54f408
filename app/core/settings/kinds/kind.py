"""What every kind of value can do: be read from text, be read from TOML, and be written back as text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date, time
from typing import ClassVar, Generic, TypeVar

from app.core.settings.faults import Rejected, quote

T = TypeVar("T")


class Kind(ABC, Generic[T]):
    """Reads one kind of value; `Rejected` says what is wrong, `accepts` what would be right.

    Text comes from the environment, `.env`, secret files and the command line. TOML has types of its own,
    so a quoted number there is a mistake and is called one.
    """

    secret: ClassVar[bool] = False
    # What a TOML value should have been, for kinds that are written as a string there.
    toml_type: ClassVar[str] = "a string"
    # Whether nothing at all is a value: an empty list, or the address of a service that is not used.
    takes_empty: ClassVar[bool] = False

    @property
    @abstractmethod
    def accepts(self) -> str:
        """What is accepted, as a phrase that follows 'accepted:'."""

    @abstractmethod
    def from_text(self, text: str) -> T:
        """Read the text of an environment variable, a file or an option."""

    def from_toml(self, value: object) -> T:
        """Read a value that TOML has already given a type."""
        if not isinstance(value, str):
            raise Rejected(f"{describe(value, show=not self.secret)} is not {self.toml_type}")
        return self.from_text(value)

    def to_text(self, value: T) -> str:
        """Write the value so that `from_text` reads the same again."""
        return str(value)

    def holds_secret(self, value: T) -> bool:  # noqa: ARG002 - the kinds that can hold one look at it
        """True when the value must not stand in a file that is committed."""
        return False

    def to_json(self, value: T) -> object:
        """Give the value as JSON would hold it."""
        return self.to_text(value)


def describe(value: object, *, show: bool = True) -> str:
    """Name a TOML value by its type and, unless it may be a secret, its content."""
    match value:
        case bool():
            return f"the boolean {str(value).lower()}" if show else "a boolean"
        case int() | float():
            return f"the number {value}" if show else "a number"
        case str():
            return f"the string {quote(value)}" if show else "a string"
        case list():
            return "an array"
        case date() | time():
            return "a date or time"
        case _:
            return "a table"
