"""Reads settings.toml and settings.local.toml through Dynaconf, which picks the tables of the environment.

Dynaconf is asked for what each table of each file said, before it merged or cast anything. What it would
drop or act upon in silence (unknown tables, its own merge and include keys) is looked for first.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dynaconf import Dynaconf

from .command_line import unknown_key
from .declarations import SECTIONS, SETTINGS
from .environment import Environment
from .faults import Fault, nearest
from .layer import Given, Layer

SHARED = "settings.toml"
LOCAL = "settings.local.toml"
TABLES = ("default", *Environment)


def read_toml_files(root: Path, environment: Environment) -> list[Layer]:
    """The layers of both files, weakest first: [default] and the environment's table of each."""
    return [layer for name in (SHARED, LOCAL) for layer in _read_file(root / name, environment)]


def _read_file(path: Path, environment: Environment) -> list[Layer]:
    try:
        raw = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        return [] if path.name == LOCAL else [_broken(path, "the file is missing", f"the folder {path.parent}")]
    except UnicodeDecodeError as error:
        return [_broken(path, f"byte {error.start} is not UTF-8")]
    except tomllib.TOMLDecodeError as error:
        return [_broken(path, f"this is not TOML: {error}")]
    except OSError as error:
        return [_broken(path, f"the file can't be read: {error.strerror}")]
    bare = path.name == LOCAL and bool(raw) and not any(table in TABLES for table in raw)
    faults = _misplaced(raw, path.name, bare=bare)
    return [Layer(faults=faults), *_tables(path, environment, bare=bare)]


def _broken(path: Path, wrong: str, source: str = "") -> Layer:
    return Layer(faults=[Fault(path.name, source or path.name, wrong)])


def _misplaced(raw: Mapping[str, object], file: str, *, bare: bool) -> list[Fault]:
    """What Dynaconf would pass over: anything at the top that is no table of an environment."""
    if bare:
        return []
    return [_unknown_table(name, value, file) for name, value in raw.items() if not _is_table(name, value)]


def _is_table(name: str, value: object) -> bool:
    return name in TABLES and isinstance(value, dict)


def _unknown_table(name: str, value: object, file: str) -> Fault:
    if name in TABLES:
        return Fault(name, file, "this must be a table", f"[{name}.section]")
    if name in SECTIONS and isinstance(value, dict):
        return Fault(name, file, "a section stands inside a table", meant=f"[default.{name}]")
    meant = nearest(name, TABLES)
    accepted = " ".join(f"[{table}]" for table in TABLES)
    return Fault(name, file, "there is no such table", accepted, f"[{meant}]" if meant else "")


def _tables(path: Path, environment: Environment, *, bare: bool) -> Iterator[Layer]:
    loaded = Dynaconf(
        settings_files=[str(path)],
        root_path=str(path.parent),
        environments=not bare,
        env=environment.value,
        core_loaders=["TOML"],
        loaders=[],
        load_dotenv=False,
        merge_enabled=False,
        dotted_lookup=False,
        auto_cast=False,
    )
    for source, data in loaded.loaded_by_loaders.items():
        if source.loader == "toml" and source.identifier == str(path) and source.env in TABLES:
            where = path.name if bare else f"{path.name} [{source.env}]"
            yield _layer(data, where, committed=path.name == SHARED)


def _layer(data: Mapping[str, Any], source: str, *, committed: bool) -> Layer:
    layer = Layer()
    for upper, value in data.items():
        section = upper.lower()
        if section not in SECTIONS:
            layer.faults.append(Fault(section, source, "there is no such section", meant=nearest(section, SECTIONS)))
        elif not isinstance(value, dict):
            layer.faults.append(Fault(section, source, "this is a section, not a value", f"[{section}]"))
        else:
            _keys(layer, section, value, source, committed=committed)
    return layer


def _keys(layer: Layer, section: str, table: Mapping[str, Any], source: str, *, committed: bool) -> None:
    for name, value in table.items():
        key = f"{section}.{name}"
        if key in SETTINGS:
            layer.given.append(Given(key, value, source, text=False, committed=committed))
        else:
            layer.faults.append(unknown_key(key, source))
