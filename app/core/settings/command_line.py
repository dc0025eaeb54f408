"""Reads the strongest layer: `--set section.key=value`, and options that stand for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from .declarations import SETTINGS
from .faults import Fault
from .layer import Given, Layer
from .unknown import unknown_key


class Override(str):
    """`section.key=value` together with the option that said it, such as `--port`."""

    __slots__ = ("option",)
    option: str

    @classmethod
    def of(cls, option: str, key: str, value: object) -> Self:
        """What `option` sets `key` to."""
        made = cls(f"{key}={value}")
        made.option = option
        return made


def read_overrides(overrides: Sequence[str]) -> Layer:
    """Read the overrides in any order; two different values for one key are found later, as in any layer."""
    layer = Layer()
    for text in overrides:
        option = text.option if isinstance(text, Override) else "--set"
        key, equals, value = text.partition("=")
        if not equals:
            layer.faults.append(Fault(option, option, f"{key!r} has no '='", "--set section.key=value"))
        elif key not in SETTINGS:
            layer.faults.append(unknown_key(key, option))
        else:
            layer.given.append(Given(key, value, option))
            if SETTINGS[key].kind.secret:
                layer.notices.append(f"{key} is given by {option}, and a list of processes shows it; use a file.")
    return layer
