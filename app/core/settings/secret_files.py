"""Reads values from files: those that NAME_FILE variables point to, and those mounted in /run/secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .aliases import ALIASES, UNREAD
from .declarations import SETTINGS
from .faults import Fault, nearest
from .foreign import foreign
from .layer import Given, Layer
from .value_file import BadValueFile, read_value_file
from .variables import file_target, key_of

MOUNTED = Path("/run/secrets")
SOURCE = "secret files"


def read_named_files(variables: Mapping[str, str], layer_name: str, root: Path) -> Layer:
    """Read the files that the NAME_FILE variables of one layer name; a relative path starts at the root."""
    layer = Layer()
    values = {key_of(name): name for name, text in variables.items() if key_of(name) and not foreign(name, text)}
    for name, text in sorted(variables.items()):
        if base := file_target(name):
            _read_named(layer, base, text, f"{layer_name} ({name})", root)
            if other := values.get(key_of(base)):
                wrong = f"{other} and {name} are both set in the same layer"
                layer.faults.append(Fault(key_of(base), layer_name, wrong, "one of the two"))
    return layer


def _read_named(layer: Layer, name: str, text: str, named_by: str, root: Path) -> None:
    if not text:
        layer.faults.append(Fault(key_of(name), named_by, "the variable is empty", "the path of a file"))
        return
    _read_into(layer, name, root / text, f"secret file {root / text}, named by {named_by}")


def read_mounted_files(folder: Path) -> Layer:
    """Read the folder in which container engines mount secrets; other people's files stay unread."""
    layer = Layer()
    try:
        paths = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return layer
    except OSError as error:
        layer.faults.append(Fault(str(folder), SOURCE, f"the folder can't be read: {error.strerror}"))
        return layer
    for path in paths:
        _sort_in(layer, path)
    return layer


def _mounted_names() -> dict[str, str]:
    """File names in upper case, and the variable each stands for."""
    names = {name: name for name in ALIASES}
    for item in SETTINGS.values():
        names |= dict.fromkeys((item.variable, item.key.upper(), item.key.replace(".", "_").upper()), item.variable)
    return names


MOUNTED_NAMES = _mounted_names()


def _sort_in(layer: Layer, path: Path) -> None:
    name = path.name.upper()
    if variable := MOUNTED_NAMES.get(name):
        _read_into(layer, variable, path, f"secret file {path}")
    elif section := UNREAD.get(name):
        layer.notices.append(
            f"Secret file {path} is recognised (section {section}), but nothing in this version reads it."
        )
    elif name.startswith("APP_"):
        meant = nearest(name, MOUNTED_NAMES)
        layer.faults.append(Fault(path.name, f"secret file {path}", "no setting has this name", meant=meant))
    elif path.is_file() and not name.startswith("."):
        layer.notices.append(_stray(path))


def _stray(path: Path) -> str:
    meant = nearest(path.name.upper(), MOUNTED_NAMES, cutoff=0.8).lower()
    return f"Secret file {path} belongs to no setting and was not read." + (f" Did you mean {meant}?" if meant else "")


def _read_into(layer: Layer, variable: str, path: Path, source: str) -> None:
    alias = ALIASES.get(variable)
    try:
        text = read_value_file(path)
    except BadValueFile as bad:
        layer.faults.append(Fault(key_of(variable), source, str(bad), "a file that holds the value and nothing else"))
    else:
        layer.given.append(Given(key_of(variable), alias.reads(text) if alias else text, source))
