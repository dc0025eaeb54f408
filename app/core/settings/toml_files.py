"""Reads settings.toml and settings.local.toml through Dynaconf, which picks the tables of the environment.

Dynaconf is asked for what each table of each file said, before it merged, cast or evaluated anything: '@' is
an ordinary character here, since a password may begin with it. Whatever Dynaconf would pass over or act upon
in silence is found by `toml_names` first.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dynaconf import Dynaconf
from dynaconf.loaders import toml_loader

from .declarations import SECTIONS, SETTINGS
from .environment import Environment
from .faults import Fault
from .layer import Given, Layer
from .toml_names import check_names, is_bare, is_loadable

SHARED = "settings.toml"
LOCAL = "settings.local.toml"


def read_toml_files(root: Path, environment: Environment) -> list[Layer]:
    """The layers of both files, weakest first: [default] and the environment's table of each."""
    return [layer for name in (SHARED, LOCAL) for layer in _read_file(root / name, environment)]


def _read_file(path: Path, environment: Environment) -> list[Layer]:
    try:
        raw = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        return [] if path.name == LOCAL else [_unread(path, f"the file is missing from {path.parent}")]
    except UnicodeDecodeError as error:
        return [_unread(path, f"byte {error.start} is not UTF-8")]
    except tomllib.TOMLDecodeError as error:
        return [_unread(path, f"this is not TOML: {error}")]
    except OSError as error:
        return [_unread(path, f"the file can't be read: {error.strerror}")]
    bare = path.name == LOCAL and is_bare(raw)
    named = Layer(faults=check_names(raw, path.name, bare=bare), unread=not is_loadable(raw, bare=bare))
    return [named] if named.unread else [named, *_tables(path, environment, bare=bare)]


def _unread(path: Path, wrong: str) -> Layer:
    return Layer(faults=[Fault(path.name, path.name, wrong, "a TOML file in UTF-8")], unread=True)


def _tables(path: Path, environment: Environment, *, bare: bool) -> Iterator[Layer]:
    loaded = Dynaconf(
        environments=not bare,
        env=environment.value,
        loaders=[],
        load_dotenv=False,
        merge_enabled=False,
        dotted_lookup=False,
        auto_cast=False,
    )
    # The loader of one file: given the file's name instead, Dynaconf would also read any *.local.toml beside
    # it and run a dynaconf_hooks.py.
    toml_loader.load(loaded, env=environment.value, filename=str(path))
    for source, data in loaded.loaded_by_loaders.items():
        # Dynaconf's own defaults are listed here as well.
        if source.loader == "toml":
            where = path.name if bare else f"{path.name} [{source.env}]"
            yield Layer(given=list(_given(data, where, committed=path.name == SHARED)))


def _given(data: Mapping[str, Any], source: str, *, committed: bool) -> Iterator[Given]:
    for upper, table in data.items():
        section = upper.lower()
        if section in SECTIONS and isinstance(table, dict):
            for name, value in table.items():
                if f"{section}.{name}" in SETTINGS:
                    yield Given(f"{section}.{name}", value, source, text=False, committed=committed)
