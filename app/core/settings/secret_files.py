"""Reads values from files: those that NAME_FILE variables point to, and those mounted in /run/secrets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .aliases import ALIASES, UNREAD
from .declarations import SETTINGS
from .faults import Fault, nearest
from .layer import Given, Layer
from .variables import FILE, file_target, key_of

MOUNTED = Path("/run/secrets")
LARGEST = 64 * 1024


class FileFault(Exception):
    """The file can't be used as a value."""


def read_named_files(variables: Mapping[str, str], layer_name: str, root: Path) -> Layer:
    """Read the files that the NAME_FILE variables of one layer name; a relative path starts at the root."""
    layer = Layer()
    values = {key_of(name): name for name in variables if key_of(name)}
    for name, text in sorted(variables.items()):
        if base := file_target(name):
            key = key_of(base)
            if key in values:
                wrong = f"{values[key]} and {name} are both set in the {layer_name}"
                layer.faults.append(Fault(key, layer_name, wrong, "one of the two"))
            _read_into(layer, key, root / text if text else None, f"{layer_name} ({name})")
    return layer


def read_mounted_files(folder: Path) -> Layer:
    """Read the folder in which container engines mount secrets; other people's files stay unread."""
    layer = Layer()
    try:
        paths = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return layer
    except OSError as error:
        layer.faults.append(Fault(str(folder), "secret files", f"the folder can't be read: {error.strerror}"))
        return layer
    for path in paths:
        _sort_in(layer, path)
    return layer


def _mounted_names() -> dict[str, str]:
    names = {name: alias.key for name, alias in ALIASES.items()}
    for item in SETTINGS.values():
        names |= dict.fromkeys((item.variable, item.key.upper(), item.key.replace(".", "_").upper()), item.key)
    return names


def _sort_in(layer: Layer, path: Path) -> None:
    names, name = _mounted_names(), path.name.upper()
    if key := names.get(name, ""):
        _read_into(layer, key, path, "")
    elif name in UNREAD:
        layer.notices.append(f"Secret file {path} is recognised, but nothing in this version reads it.")
    elif name.startswith("APP_"):
        layer.faults.append(Fault(str(path), "secret files", "no setting has this name", meant=nearest(name, names)))
    elif path.is_file() and not name.startswith("."):
        layer.notices.append(f"Secret file {path} belongs to no setting and was not read.")


def _read_into(layer: Layer, key: str, path: Path | None, named_by: str) -> None:
    source = f"secret file {path}" if path else named_by
    alias = ALIASES.get(path.name.upper()) if path and not named_by else ALIASES.get(_base_name(named_by))
    try:
        text = _read(path)
    except FileFault as fault:
        layer.faults.append(Fault(key, source + (f" from {named_by}" if path and named_by else ""), str(fault)))
    else:
        layer.given.append(Given(key, alias.reads(text) if alias else text, source))


def _base_name(named_by: str) -> str:
    return named_by.rpartition("(")[2].removesuffix(")").removesuffix(FILE)


def _read(path: Path | None) -> str:
    if path is None:
        raise FileFault("the variable is empty; it should name a file")
    try:
        if path.is_dir():
            raise FileFault("this is a folder, not a file")
        if path.exists() and not path.is_file():
            raise FileFault("this is not a regular file")
        content = path.read_bytes()
    except OSError as error:
        raise FileFault(f"the file can't be read: {error.strerror}") from None
    return _decode(content)


def _decode(content: bytes) -> str:
    if len(content) > LARGEST:
        raise FileFault(f"the file has {len(content)} bytes; a value has at most {LARGEST}")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise FileFault("the file is not text in UTF-8") from None
    # Editors and `echo` end a file with one newline that nobody means; a second one is taken as meant.
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not text:
        raise FileFault("the file is empty")
    return text
