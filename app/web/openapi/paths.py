"""Paths as OpenAPI writes them: `/notes/<uuid:note_id>` is `/notes/{note_id}` with a parameter of that format."""

from __future__ import annotations

import re
from typing import Any

from werkzeug.routing.rules import parse_converter_args

from app.web.openapi.schemas import Schema

VARIABLE = re.compile(r"<(?:(?P<converter>[a-zA-Z_]\w*)(?:\((?P<arguments>.*?)\))?:)?(?P<name>[a-zA-Z_]\w*)>")
# What stands in no address, whatever its route: see app/web/heads.py.
UNFIT = r"\x00-\x1f\x7f-\x9f\ufffd"
SEGMENT, REST = f"^[^/{UNFIT}]+$", f"^[^{UNFIT}]+$"


def template(path: str) -> str:
    """The path with each variable in braces."""
    return VARIABLE.sub(lambda found: f"{{{found['name']}}}", path)


def parameters(path: str) -> list[Schema]:
    """The variables of the path, in its order."""
    return [
        {
            "name": found["name"],
            "in": "path",
            "required": True,
            "schema": _schema(found["converter"] or "string", found["arguments"] or ""),
        }
        for found in VARIABLE.finditer(path)
    ]


def _schema(converter: str, arguments: str) -> Schema:
    """What the converter matches; one that this module does not know is any text."""
    items, options = parse_converter_args(arguments)
    match converter:
        case "uuid":
            return {"type": "string", "format": "uuid"}
        case "int":
            return {"type": "integer", **_bounds(options)}
        case "float":
            return {"type": "number", **_bounds(options)}
        case "any":
            return {"type": "string", "enum": list(items)}
        case "string":
            return {"type": "string", "pattern": SEGMENT, **_lengths(options)}
        case _:
            return {"type": "string", "pattern": REST, "minLength": 1}


def _bounds(options: dict[str, Any]) -> Schema:
    """Without `signed`, a minus sign makes it another address."""
    low = options.get("min", None if options.get("signed") else 0)
    bounds = {"minimum": low, "maximum": options.get("max")}
    return {name: value for name, value in bounds.items() if value is not None}


def _lengths(options: dict[str, Any]) -> Schema:
    low = options.get("length", options.get("minlength", 1))
    high = options.get("length", options.get("maxlength"))
    return {"minLength": low} if high is None else {"minLength": low, "maxLength": high}
