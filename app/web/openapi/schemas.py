"""The declared types as JSON schemas, those with a name kept once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from app.core.error_catalogue import entries
from app.core.errors import CATALOGUE

Schema = dict[str, Any]

TEMPLATE = "#/components/schemas/{name}"
ERROR = "Error"
LEAST, MOST = -(2**63), 2**64 - 1  # app.core.json reads no number that would be rounded


class Schemas:
    """What is read and answered; `components` are what the document shares by name."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        """`kinds` are types that msgspec knows. Raises `TypeError` on any other, and `ValueError` on a taken name."""
        unique = list(dict.fromkeys(kinds))
        schemas, components = msgspec.json.schema_components(unique, ref_template=TEMPLATE)
        if ERROR in components:
            raise ValueError(f"{ERROR} is the name of the one error body; call the dataclass something else")
        for schema in (*schemas, *components.values()):
            _tell_more(schema)
        self.components: dict[str, Schema] = {**components, ERROR: error_schema()}
        self._schemas: dict[Any, Schema] = dict(zip(unique, schemas, strict=True))

    def of(self, kind: Any) -> Schema:  # noqa: ANN401  (any type)
        return self._schemas[kind]

    def fields_of(self, kind: type[Any]) -> tuple[dict[str, Schema], frozenset[str]]:
        """The schema of each field of a dataclass, and the names of those without a default."""
        schema = self._schemas[kind]
        if "$ref" in schema:
            schema = self.components[schema["$ref"].rpartition("/")[2]]
        return schema["properties"], frozenset(schema.get("required", ()))


def _tell_more(schema: Any) -> None:  # noqa: ANN401  (JSON)
    """What msgspec's schema leaves open, and the edge does not, here and in everything inside."""
    if isinstance(schema, list):
        for each in schema:
            _tell_more(each)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer":
            schema.setdefault("minimum", LEAST)
            schema.setdefault("maximum", MOST)
        elif "properties" in schema:  # a dataclass, read and written with its fields and no others
            schema["additionalProperties"] = False
        for name, each in schema.items():
            if name not in {"default", "enum", "const", "examples"}:
                _tell_more(each)


def error_schema() -> Schema:
    """The one error body; each code is explained where it is listed."""
    meanings = "\n".join(f"- `{each.code}` ({each.status}): {each.sentence} {each.when}" for each in entries())
    return {
        "title": ERROR,
        "type": "object",
        "description": "Every error, whoever refuses the request.",
        "required": ["error", "code"],
        "additionalProperties": False,
        "properties": {
            "error": {"type": "string", "description": "A sentence for a person; it may change."},
            "code": {
                "type": "string",
                "description": f"For programs; it does not change.\n\n{meanings}",
                "enum": [kind.code for kind in CATALOGUE],
            },
            "details": {
                "type": "object",
                "description": "What helps to mend the request, such as what is wrong with each field.",
            },
        },
    }
