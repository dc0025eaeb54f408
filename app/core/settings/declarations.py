"""Every declared setting by its key, collected from the sections of `Settings`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_type_hints

from .declare import Setting, declared
from .kinds import DatabaseUrl
from .model import Settings

NOT_SECTIONS = frozenset({"environment", "origins", "notices"})

# A key of its own that is never stored: where it is given, it is read into the parts it stands for.
DATABASE_URL = Setting(
    "database.url",
    DatabaseUrl(),
    None,
    "The whole address of PostgreSQL in one line; it is read into host, port, name, user, password and "
    "sslmode, each of which a stronger layer may still replace.",
)


def _sections() -> dict[str, type[Any]]:
    hints = get_type_hints(Settings)
    return {name: hint for name, hint in hints.items() if name not in NOT_SECTIONS}


SECTIONS: Mapping[str, type[Any]] = MappingProxyType(_sections())
STORED: Mapping[str, Setting] = MappingProxyType(
    {item.key: item for name, section in SECTIONS.items() for item in declared(name, section)}
)
SETTINGS: Mapping[str, Setting] = MappingProxyType({DATABASE_URL.key: DATABASE_URL, **STORED})
VARIABLES: Mapping[str, str] = MappingProxyType({item.variable: item.key for item in SETTINGS.values()})
