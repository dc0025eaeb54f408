"""One method of one route as an OpenAPI operation."""

from __future__ import annotations

from typing import Any

from app.web.idempotency import KEY
from app.web.openapi import paths
from app.web.openapi.answers import JSON, Answers
from app.web.openapi.schemas import Schema, Schemas
from app.web.openapi.security import security
from app.web.url_map import Route

IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A name for this one change, chosen by the caller: repeated with it, the request changes nothing "
    "more and is given the first answer again.",
    "schema": {"type": "string", "pattern": f"^{KEY.pattern}$"},
}


def operation(route: Route, method: str, name: str, *, schemas: Schemas, answers: Answers) -> Schema:
    """`name` is the operationId."""
    summary, _, description = route.endpoint.description.partition("\n")
    parts: dict[str, Any] = {
        "operationId": name,
        "tags": [tag_of(route)],
        "summary": summary,
        "description": _told(description, route),
        "parameters": _parameters(route, method, schemas),
        "requestBody": _body(route, schemas),
        "responses": answers.of(route, method),
        "security": security(route.endpoint.policy, method),
    }
    return {key: value for key, value in parts.items() if value}


def _told(description: str, route: Route) -> str:
    """The permission in words, too: few pages show what stands beside a way in."""
    permission = route.endpoint.policy.permission
    asked = f"An API key needs the permission `{permission}`." if permission else ""
    return "\n\n".join(filter(None, (description.strip(), asked)))


def tag_of(route: Route) -> str:
    """The blueprint; what stands beside all of them is the application's."""
    blueprint, _, _ = route.name.rpartition(".")
    return blueprint or "app"


def _parameters(route: Route, method: str, schemas: Schemas) -> list[Schema]:
    found = paths.parameters(route.path)
    if route.endpoint.query is not None:
        found += _query(route.endpoint.query, schemas)
    if method in route.idempotent:
        found.append({"$ref": "#/components/parameters/Idempotency-Key"})
    return found


def _query(kind: type[Any], schemas: Schemas) -> list[Schema]:
    fields, required = schemas.fields_of(kind)
    return [_query_parameter(name, schema, required=name in required) for name, schema in fields.items()]


def _query_parameter(name: str, schema: Schema, *, required: bool) -> Schema:
    """A description says what the parameter is for, and so stands beside it instead of inside its type."""
    kind = {key: value for key, value in schema.items() if key != "description"}
    parameter: Schema = {"name": name, "in": "query", "required": required, "schema": kind}
    return parameter | ({"description": schema["description"]} if "description" in schema else {})


def _body(route: Route, schemas: Schemas) -> Schema | None:
    if route.endpoint.body is None:
        return None
    return {"required": True, "content": {JSON: {"schema": schemas.of(route.endpoint.body)}}}
