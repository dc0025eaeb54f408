"""Shows the effective settings: every value, the layer it came from, secrets masked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from .declarations import STORED
from .declare import Setting
from .model import Settings

WIDTH = 100
KEY = 29
VALUE = 20


@dataclass(frozen=True, slots=True)
class Row:
    """One effective setting as it is shown; `json` is the same value for `--json`."""

    key: str
    text: str
    json: object
    layer: str


def rows(settings: Settings) -> list[Row]:
    """Every setting in the order of its declaration."""
    return [_row(item, getattr(getattr(settings, item.section), item.name), settings) for item in STORED.values()]


def _row(item: Setting, value: object, settings: Settings) -> Row:
    # Nothing is masked here: a secret is of a type that prints as stars.
    layer = settings.origins.get(item.key, "given by code")
    return Row(item.key, item.kind.to_text(value), item.kind.to_json(value), layer)


def as_text(settings: Settings) -> str:
    """The page for a terminal of 100 columns."""
    return "\n".join(_lines(settings))


def as_json(settings: Settings) -> dict[str, object]:
    """The same for programs."""
    return {
        "environment": {"value": settings.environment.value, "layer": settings.origins.get("environment", "")},
        "settings": {row.key: {"value": row.json, "layer": row.layer} for row in rows(settings)},
        "notices": list(settings.notices),
    }


def _lines(settings: Settings) -> Iterator[str]:
    yield _line("environment", settings.environment.value, settings.origins.get("environment", ""))
    for section, group in groupby(rows(settings), key=lambda row: row.key.partition(".")[0]):
        yield ""
        yield f"[{section}]"
        for row in group:
            yield _line(row.key.partition(".")[2], row.text or "(none)", row.layer)
    if settings.notices:
        yield ""
        yield from settings.notices


def _line(name: str, text: str, layer: str) -> str:
    start = f"{name:<{KEY}}{text:<{VALUE}}"
    if len(text) < VALUE and len(start) + len(layer) <= WIDTH:
        return start + layer
    if len(f"{name:<{KEY}}{text}  {layer}") <= WIDTH:
        return f"{name:<{KEY}}{text}  {layer}"
    return f"{name:<{KEY}}{text}\n{layer:>{WIDTH}}"
