"""Reads a set of environment variables: which are ours, under which key, and which only look like it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .aliases import ALIASES, UNREAD
from .declarations import VARIABLES
from .environment import APP_ENV
from .faults import Fault, nearest
from .foreign import foreign
from .layer import Given, Layer

FILE = "_FILE"
NAMES = (APP_ENV, *VARIABLES)
# APP alone also begins APPDATA or APPIMAGE, which are other people's; with '__' or a near miss it is ours.
OURS = re.compile(r"APP_.*|APP[A-Z0-9_]*__.*", re.IGNORECASE)


def key_of(name: str) -> str:
    """The key that the variable sets, by its own name or an alias; empty for any other."""
    return VARIABLES.get(name, "") or (ALIASES[name].key if name in ALIASES else "")


def file_target(name: str) -> str:
    """For DB_PASSWORD_FILE, DB_PASSWORD; empty when the name is not of that form."""
    base = name.removesuffix(FILE)
    return base if base != name and key_of(base) else ""


def read_variables(variables: Mapping[str, str], layer_name: str) -> Layer:
    """Sort the variables of one layer into keys, faults and notices; the value's form is judged later."""
    layer = Layer()
    for name, text in sorted(variables.items()):
        if name != APP_ENV and not file_target(name):
            _sort_in(layer, name, text, layer_name)
    return layer


def _sort_in(layer: Layer, name: str, text: str, layer_name: str) -> None:
    if why := foreign(name, text) if key_of(name) or OURS.fullmatch(name) else "":
        layer.notices.append(f"{name} in the {layer_name} is left alone: {why}.")
    elif key := key_of(name):
        value = ALIASES[name].reads(text) if name in ALIASES else text
        layer.given.append(Given(key, value, f"{layer_name} ({name})"))
    elif section := UNREAD.get(name.removesuffix(FILE)):
        layer.notices.append(
            f"{name} in the {layer_name} is recognised (section {section}), but nothing in this version reads it."
        )
    elif fault := _unknown(name, layer_name):
        layer.faults.append(fault)


def _unknown(name: str, layer_name: str) -> Fault | None:
    if name.endswith("_FOR_DYNACONF"):
        return Fault(name, layer_name, "this would change how the settings files themselves are read; unset it")
    meant = nearest(name.upper(), NAMES) if OURS.fullmatch(name) else _near_miss(name)
    if not (meant or OURS.fullmatch(name)):
        return None
    return Fault(name, layer_name, "nothing reads a variable of this name", meant=meant)


def _near_miss(name: str) -> str:
    return nearest(name, VARIABLES, cutoff=0.9) if name.startswith("APP") else ""
