"""The OpenAPI document says what the declarations say, and is one that other programs can read."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Annotated, Any
from uuid import UUID

import jsonschema_rs
import pytest
import schemathesis
from msgspec import Meta
from quart import Blueprint, websocket
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.definitions import OPENAPI_31

from app.bootstrap import FEATURES
from app.core.errors import CATALOGUE, Conflict, NotFound
from app.core.lifecycle import Lifecycle
from app.core.version import VERSION
from app.feature import Feature
from app.server import create_app
from app.web import ADMIN, MINUTE, PAGE, PUBLIC, SCRAPE, SIGNED_IN, SOCKET, Limit, endpoint
from app.web.openapi import openapi_document
from tests.harness import sample_feature
from tests.harness.settings import TestSettings, make_settings

Document = dict[str, Any]
SAMPLE = replace(sample_feature.feature, authenticate=None)  # beside all features: another one says who calls


@dataclass(frozen=True)
class Thing:
    """Something."""

    name: Annotated[str, Meta(min_length=1)]
    size: int = 1


@dataclass(frozen=True)
class Look:
    """How to look at it."""

    depth: Annotated[int, Meta(ge=0, description="How deep.")]
    colours: list[str] | None = None


class TooSmall(Conflict):
    """It is too small for that."""


@pytest.fixture
def settings(tmp_path: Any) -> TestSettings:
    """Nothing is opened for the document."""
    return make_settings(tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none", redis_url="redis://127.0.0.1:1")


def document_of(settings: TestSettings, *features: Feature, overrides: tuple[str, ...] = ()) -> Document:
    read = settings(*overrides)
    document = openapi_document(create_app(read, features, lifecycle=Lifecycle()), read)
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]  # what a client reads


def things() -> tuple[Blueprint, Feature]:
    """A feature to which a test adds its routes."""
    routes = Blueprint("things", __name__, url_prefix="/things")
    return routes, Feature(name="things", routes=(routes,))


def statuses(operation: Document) -> set[str]:
    return set(operation["responses"])


def codes(document: Document, operation: Document, status: str) -> list[str]:
    response = operation["responses"][status]
    if "$ref" in response:
        response = document["components"]["responses"][response["$ref"].rpartition("/")[2]]
    found: list[str] = response["content"]["application/json"]["schema"]["allOf"][1]["properties"]["code"]["enum"]
    return found


def test_the_document_is_valid_by_the_official_meta_schema(settings: TestSettings) -> None:
    document = document_of(settings, *FEATURES, SAMPLE)

    jsonschema_rs.validate(OPENAPI_31, document)
    assert OPENAPI_31["$id"] == "https://spec.openapis.org/oas/3.1/schema/2022-10-07"
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(OPENAPI_31, {**document, "paths": {"no-slash": {}}})


def test_every_schema_is_one_by_json_schema_2020_12_and_every_reference_leads_somewhere(settings: TestSettings) -> None:
    document = document_of(settings, *FEATURES, SAMPLE)

    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    references = set(_references(document))
    assert len(references) > 10
    for reference in references:
        found: Any = document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]


def _references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [each for item in value for each in _references(item)]
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return [*own, *(each for item in value.values() for each in _references(item))]
    return []


def test_a_client_of_another_maker_loads_every_operation(settings: TestSettings) -> None:
    document = document_of(settings, *FEATURES, SAMPLE)

    loaded = list(schemathesis.openapi.from_dict(document).get_all_operations())

    assert all(isinstance(each, Ok) for each in loaded)
    assert len(loaded) == sum(len(item) for item in document["paths"].values()) > 15


def test_the_same_declarations_give_the_same_text(settings: TestSettings) -> None:
    one, other = (document_of(settings, *FEATURES, SAMPLE) for _ in range(2))

    assert json.dumps(one) == json.dumps(other)
    assert list(one["paths"]) == sorted(one["paths"])


def test_it_names_the_service_and_its_version(settings: TestSettings) -> None:
    document = document_of(settings, overrides=("app.name=larder",))

    assert (document["info"]["title"], document["info"]["version"]) == ("larder", VERSION)


def test_path_query_and_body_come_from_the_handler(settings: TestSettings) -> None:
    routes, feature = things()

    @routes.put("/<uuid:thing_id>/<int(min=1):page>/<any(red, blue):colour>/<name>")
    @endpoint(PUBLIC, answers={200: Thing})
    async def put(thing_id: UUID, page: int, colour: str, name: str, body: Thing, query: Look) -> Thing:
        """Put a thing there.

        It may be put twice.
        """
        del thing_id, page, colour, name, query
        return body

    document = document_of(settings, feature)
    operation = document["paths"]["/things/{thing_id}/{page}/{colour}/{name}"]["put"]
    parameters = {each["name"]: each for each in operation["parameters"] if "name" in each}

    assert (operation["operationId"], operation["tags"]) == ("things.put", ["things"])
    assert (operation["summary"], operation["description"]) == ("Put a thing there.", "It may be put twice.")
    assert parameters["thing_id"]["schema"] == {"type": "string", "format": "uuid"}
    assert parameters["page"]["schema"] == {"type": "integer", "minimum": 1}
    assert parameters["colour"]["schema"] == {"type": "string", "enum": ["red", "blue"]}
    assert parameters["name"]["schema"]["type"] == "string"
    assert all(parameters[name]["required"] for name in ("thing_id", "page", "colour", "name", "depth"))
    assert parameters["depth"]["description"] == "How deep."
    assert parameters["depth"]["schema"]["minimum"] == 0
    assert parameters["colours"]["required"] is False
    assert operation["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Thing"}
    assert document["components"]["schemas"]["Thing"]["required"] == ["name"]
    assert document["components"]["schemas"]["Thing"]["additionalProperties"] is False


def test_answers_are_json_of_a_dataclass_another_type_any_or_none(settings: TestSettings) -> None:
    routes, feature = things()

    @routes.get("/")
    @endpoint(PAGE, answers={200: Thing, 202: list[Thing], 203: "text/csv", 206: None, 204: None, 302: None})
    async def answer() -> Thing:
        """Answer."""
        return Thing("a")

    document = document_of(settings, feature)
    responses = document["paths"]["/things/"]["get"]["responses"]
    thing = {"$ref": "#/components/schemas/Thing"}

    assert responses["200"]["content"] == {"application/json": {"schema": thing}}
    assert responses["202"]["content"] == {"application/json": {"schema": {"type": "array", "items": thing}}}
    assert responses["203"]["content"] == {"text/csv": {"schema": {"type": "string"}}}
    assert responses["206"]["content"] == {"*/*": {}}
    assert "content" not in responses["204"]
    assert "content" not in responses["302"]
    assert "Location" in responses["302"]["headers"]
    assert document["components"]["headers"]["X-Request-Id"]["required"] is True
    assert all("X-Request-Id" in response.get("headers", {"X-Request-Id": ""}) for response in responses.values())


ALWAYS = {"200", "408", "500", "503"}


@pytest.mark.parametrize(
    ("method", "policy", "more"),
    [
        ("GET", PUBLIC, set()),
        ("GET", SIGNED_IN, {"401", "403"}),
        ("GET", ADMIN, {"401", "403"}),
        ("GET", SCRAPE, {"403"}),
        ("GET", PUBLIC.but(limits=(Limit(5, MINUTE),)), {"429"}),
        ("POST", PUBLIC, {"400", "409", "413", "422"}),
        ("DELETE", PUBLIC.but(idempotency=False), {"400", "413"}),
    ],
    ids=["public", "signed-in", "admin", "operations", "limited", "unsafe", "unsafe-without-keys"],
)
def test_refusals_follow_from_the_policy(settings: TestSettings, method: str, policy: Any, more: set[str]) -> None:
    routes, feature = things()

    @routes.route("/", methods=[method])
    @endpoint(policy)
    async def answer() -> str:
        """Answer."""
        return ""

    operation = document_of(settings, feature)["paths"]["/things/"][method.lower()]

    assert statuses(operation) == ALWAYS | more
    names = [each.get("$ref", "") for each in operation.get("parameters", [])]
    assert ("#/components/parameters/Idempotency-Key" in names) is ("422" in more)


def test_refusals_follow_from_what_is_read_and_from_what_the_handler_names(settings: TestSettings) -> None:
    routes, feature = things()

    @routes.patch("/<uuid:thing_id>")
    @endpoint(PUBLIC, answers={200: Thing}, errors=(NotFound, TooSmall))
    async def change(thing_id: UUID, body: Thing) -> Thing:
        """Change it."""
        del thing_id
        return body

    document = document_of(settings, feature)
    operation = document["paths"]["/things/{thing_id}"]["patch"]

    assert statuses(operation) == ALWAYS | {"400", "404", "409", "413", "414", "415", "422"}
    assert codes(document, operation, "400") == ["BAD_REQUEST", "VALIDATION_ERROR"]
    assert codes(document, operation, "409") == ["CONFLICT"]
    assert "It is too small for that." in operation["responses"]["409"]["description"]
    assert codes(document, operation, "500") == ["INTERNAL_ERROR", "PANIC"]


def test_a_limit_of_the_settings_is_a_limit(settings: TestSettings) -> None:
    limited = document_of(settings, sample_feature.feature, overrides=("rate_limit.per_minute=9",))
    off = document_of(
        settings, sample_feature.feature, overrides=("rate_limit.per_minute=9", "rate_limit.enabled=false")
    )

    def with_429(document: Document) -> set[str]:
        items = document["paths"].values()
        return {each["operationId"] for item in items for each in item.values() if "429" in each["responses"]}

    assert "sample.list_notes" in with_429(limited)
    assert "sample.count" not in with_429(limited), "its policy has no limits"
    assert with_429(off) == set()


def test_the_ways_in_follow_from_the_audience(settings: TestSettings) -> None:
    document = document_of(settings, sample_feature.feature)
    found = {
        operation["operationId"]: operation.get("security")
        for item in document["paths"].values()
        for operation in item.values()
    }

    assert found["sample.list_notes"] is None
    assert found["sample.count"] is None
    assert found["sample.write_note"] == [{"accessToken": []}, {"session": [], "csrf": []}], "no key opens it"
    assert set(document["components"]["securitySchemes"]) == {"accessToken", "apiKey", "session", "csrf"}
    assert "securitySchemes" not in document_of(settings)["components"], "nobody is asked who calls"


def test_a_key_is_a_way_in_where_a_permission_is_asked_for_and_nowhere_else(settings: TestSettings) -> None:
    routes, feature = things()

    @routes.get("/")
    @endpoint(ADMIN.but(permission="things:read"))
    async def read() -> str:
        """Read.

        All of it.
        """
        return ""

    @routes.delete("/")
    @endpoint(ADMIN)
    async def delete() -> str:
        """Delete."""
        return ""

    item = document_of(settings, feature)["paths"]["/things/"]

    assert item["get"]["security"] == [{"accessToken": []}, {"apiKey": ["things:read"]}, {"session": []}]
    assert item["get"]["description"] == "All of it.\n\nAn API key needs the permission `things:read`."
    assert item["delete"]["security"] == [{"accessToken": []}, {"session": [], "csrf": []}]
    assert "description" not in item["delete"]


def test_a_safe_method_asks_a_session_for_no_token(settings: TestSettings) -> None:
    routes, feature = things()

    @routes.get("/")
    @endpoint(SIGNED_IN)
    async def read() -> str:
        """Read."""
        return ""

    operation = document_of(settings, feature)["paths"]["/things/"]["get"]

    assert operation["security"][-1] == {"session": []}


@pytest.mark.parametrize(("status", "header"), [("401", "WWW-Authenticate"), ("429", "Retry-After")])
def test_a_refusal_has_the_headers_that_say_what_to_do(settings: TestSettings, status: str, header: str) -> None:
    document = document_of(settings, sample_feature.feature)

    response = document["paths"]["/api/v1/sample-notes"]["post"]["responses"][status]
    shared = document["components"]["responses"][response["$ref"].rpartition("/")[2]]

    assert header in shared["headers"]


def test_the_error_body_has_every_code_with_its_meaning(settings: TestSettings) -> None:
    error = document_of(settings)["components"]["schemas"]["Error"]

    assert error["properties"]["code"]["enum"] == [kind.code for kind in CATALOGUE]
    assert all(f"`{kind.code}`" in error["properties"]["code"]["description"] for kind in CATALOGUE)


def test_operations_of_one_handler_have_ids_of_their_own(settings: TestSettings) -> None:
    routes, feature = things()

    @routes.route("/a", methods=["GET", "POST"])
    @routes.route("/b", methods=["GET"])
    @endpoint(PUBLIC)
    async def both() -> str:
        """Answer."""
        return ""

    paths = document_of(settings, feature)["paths"]

    assert [each["operationId"] for item in paths.values() for each in item.values()] == [
        "things.both.get",
        "things.both.post",
        "things.both.get.2",
    ]


def test_websockets_are_told_of_in_words(settings: TestSettings) -> None:
    routes, feature = things()

    @routes.websocket("/live")
    @endpoint(SOCKET)
    async def live() -> None:
        """Talk.

        For long.
        """
        await websocket.send("")

    def told(*overrides: str) -> str:
        return str(document_of(settings, feature, overrides=overrides)["info"]["description"]).rpartition("\n")[2]

    assert told() == "- `/things/live` (signed in): Talk."
    assert told("websocket.anonymous=true") == "- `/things/live` (anybody): Talk."


def test_websockets_head_and_options_are_left_out(settings: TestSettings) -> None:
    routes, feature = things()

    @routes.websocket("/live")
    @endpoint(PUBLIC)
    async def live() -> None:
        """Talk."""
        await websocket.send("")

    @routes.get("/")
    @endpoint(PUBLIC)
    async def read() -> str:
        """Read."""
        return ""

    assert {path: list(item) for path, item in document_of(settings, feature)["paths"].items()} == {"/things/": ["get"]}
