"""How a setting is declared: once, as a field whose metadata everything else is made from.

The same declaration parses the value, words the fault, fills `.env.example` and the page of the docs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from typing import Any, TypeVar

from .kinds import (
    Choice,
    Flag,
    Host,
    HttpUrl,
    Identifier,
    Kind,
    Line,
    LogLevels,
    Name,
    Network,
    Networks,
    OptionalSecret,
    Origins,
    RedisUrl,
    Seconds,
    SecretText,
    Share,
    WholeNumber,
)
from .secret import Secret, SecretUrl

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
METADATA = "setting"


@dataclass(frozen=True)
class Setting:
    """One declared key."""

    key: str
    kind: Kind[Any]
    default: Any
    help: str

    @property
    def section(self) -> str:
        return self.key.partition(".")[0]

    @property
    def name(self) -> str:
        return self.key.partition(".")[2]

    @property
    def variable(self) -> str:
        """The environment variable of this key."""
        return f"APP_{self.section}__{self.name}".upper()

    @property
    def required(self) -> bool:
        """True for a key that has no default; only secrets have none."""
        return self.default is MISSING


def declared(section: str, declaration: type[Any]) -> Iterator[Setting]:
    """The settings that a section's dataclass declares, in order."""
    for item in fields(declaration):
        kind, sentence = item.metadata[METADATA]
        yield Setting(f"{section}.{item.name}", kind, item.default, sentence)


def setting(kind: Kind[T], default: T, sentence: str) -> T:
    """A dataclass field that is a setting; `sentence` says what the key changes."""
    return field(default=default, metadata={METADATA: (kind, sentence)})


def flag(default: bool, sentence: str) -> bool:
    """A boolean."""
    return setting(Flag(), default, sentence)


def whole(default: int, low: int, high: int, sentence: str) -> int:
    """A whole number from `low` to `high`."""
    return setting(WholeNumber(low, high), default, sentence)


def seconds(default: float, low: float, high: float, sentence: str) -> float:
    """A duration in seconds from `low` to `high`."""
    return setting(Seconds(low, high), default, sentence)


def choice(default: E, sentence: str) -> E:
    """One word of the enumeration that the default belongs to."""
    return setting(Choice(type(default)), default, sentence)


def name(default: str, longest: int, sentence: str) -> str:
    """A short name of printable ASCII."""
    return setting(Name(longest), default, sentence)


def identifier(default: str, sentence: str) -> str:
    """A name inside PostgreSQL."""
    return setting(Identifier(), default, sentence)


def host(default: str, sentence: str, *, sockets: bool = False) -> str:
    """A host name or address."""
    return setting(Host(sockets), default, sentence)


def log_levels(default: str, sentence: str) -> str:
    """A log directive."""
    return setting(LogLevels(), default, sentence)


def origins(sentence: str) -> tuple[str, ...]:
    """A list of web origins, empty by default."""
    return setting(Origins(), (), sentence)


def networks(default: str, sentence: str) -> tuple[Network, ...]:
    """A list of IP networks; `default` is written as in a variable."""
    kind = Networks()
    return setting(kind, kind.from_text(default), sentence)


def share(default: float, sentence: str) -> float:
    """A number from 0 to 1."""
    return setting(Share(), default, sentence)


def http_url(sentence: str) -> str:
    """The address of another HTTP service, none by default."""
    return setting(HttpUrl(), "", sentence)


def redis_url(default: str, sentence: str) -> SecretUrl:
    """The address of a Redis."""
    kind = RedisUrl()
    return setting(kind, kind.from_text(default), sentence)


def line(default: str, longest: int, sentence: str) -> str:
    """Printable text in one line, or nothing."""
    return setting(Line(longest), default, sentence)


def secret(sentence: str, *, shortest: int = 1) -> Secret:
    """A secret without a default: production demands it, elsewhere one is generated and kept."""
    required: Secret = field(metadata={METADATA: (SecretText(shortest), sentence)})
    return required


def optional_secret(sentence: str, *, shortest: int = 1) -> Secret:
    """A secret that need not be there."""
    return setting(OptionalSecret(shortest), Secret(""), sentence)
