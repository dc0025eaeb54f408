"""Checks the names in a TOML file of settings: its tables, their sections and the keys of those.

The tables of every environment are checked, so that development finds a misspelling meant for production.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .declarations import SECTIONS, SETTINGS
from .environment import Environment
from .faults import Fault, nearest
from .unknown import unknown_key, unknown_section

TABLES = ("default", *Environment)


def is_bare(raw: Mapping[str, object]) -> bool:
    """True for a file of sections without the tables of environments around them."""
    return not any(name in TABLES for name in raw) and any(name in SECTIONS for name in raw)


def is_loadable(raw: Mapping[str, object], *, bare: bool) -> bool:
    """False where Dynaconf would trip: a table of an environment that is not a table."""
    return bare or all(isinstance(value, dict) for name, value in raw.items() if name in TABLES)


def check_names(raw: Mapping[str, object], file: str, *, bare: bool) -> list[Fault]:
    """The faults of every name in the file that would not be read."""
    if bare:
        return list(_sections(raw, file))
    return [fault for name, value in raw.items() for fault in _table(name, value, file)]


def _table(name: str, value: object, file: str) -> Iterator[Fault]:
    if name not in TABLES:
        yield _unknown_table(name, value, file)
    elif isinstance(value, dict):
        yield from _sections(value, f"{file} [{name}]")
    else:
        yield Fault(name, file, f"{name} is a table of sections, not a value", f"[{name}.server] and the like")


def _unknown_table(name: str, value: object, file: str) -> Fault:
    accepted = " ".join(f"[{table}]" for table in TABLES)
    if name in SECTIONS:
        section = f"[default.{name}]" if isinstance(value, dict) else f"a section [default.{name}]"
        return Fault(name, file, "a section stands inside the table of an environment", accepted, section)
    meant = nearest(name.lower(), TABLES)
    return Fault(name, file, "there is no such table", accepted, f"[{meant}]" if meant else "")


def _sections(table: Mapping[str, object], source: str) -> Iterator[Fault]:
    for section, value in table.items():
        if section not in SECTIONS:
            yield unknown_section(section, source)
        elif not isinstance(value, dict):
            yield Fault(section, source, f"{section} is a section, not a value", "a table of keys")
        else:
            yield from _keys(section, value, source)


def _keys(section: str, table: Mapping[str, object], source: str) -> Iterator[Fault]:
    for name in table:
        if f"{section}.{name}" not in SETTINGS:
            yield unknown_key(f"{section}.{name}", source)
