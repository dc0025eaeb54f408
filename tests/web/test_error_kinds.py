"""Every status that the framework knows, and every error that the code declares, has a kind of the catalogue."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from quart import Response, abort
from werkzeug.exceptions import (
    MethodNotAllowed,
    RequestedRangeNotSatisfiable,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    default_exceptions,
)

from app.core.errors import CATALOGUE, AppError
from app.web import Application
from tests.core.database.test_statements import import_everything
from tests.web.conftest import Serving

APP = Path(__file__).parents[2] / "app"
CODES = {kind.code: kind.status for kind in CATALOGUE}


@pytest.mark.engines
async def test_every_status_of_the_framework_leaves_in_our_body(application: Application, serving: Serving) -> None:
    @application.get("/<int:status>")
    async def fail(status: int) -> Response:
        abort(status)

    async with serving(application) as client:
        answers = {status: await client.get(f"/{status}") for status in default_exceptions}

    assert len(answers) > 25
    for status, answer in answers.items():
        body = answer.json()
        assert answer.status_code == status
        assert set(body) == {"error", "code"}
        assert body["code"] in CODES
        assert body["error"].endswith(".")
        assert "<" not in body["error"]
        if status in CODES.values():
            assert CODES[body["code"]] == status
        else:
            assert body["code"] == ("INTERNAL_ERROR" if status >= 500 else "BAD_REQUEST")


@pytest.mark.engines
@pytest.mark.parametrize(
    ("error", "header", "value"),
    [
        (MethodNotAllowed(["GET"]), "allow", "GET"),
        (TooManyRequests(retry_after=7), "retry-after", "7"),
        (ServiceUnavailable(retry_after=7), "retry-after", "7"),
        (RequestedRangeNotSatisfiable(length=10), "content-range", "bytes */10"),
        (Unauthorized(), "www-authenticate", "Bearer"),
    ],
)
async def test_what_a_status_must_say_in_a_header_is_kept(
    application: Application, serving: Serving, error: Exception, header: str, value: str
) -> None:
    @application.get("/")
    async def fail() -> Response:
        raise error

    async with serving(application) as client:
        answer = await client.get("/")

    assert answer.headers[header] == value
    assert answer.json()["code"] in CODES


@pytest.mark.engines
async def test_a_redirect_of_the_router_is_no_error(application: Application, serving: Serving) -> None:
    @application.get("/folder/")
    async def folder() -> str:
        return "here"

    async with serving(application) as client:
        answer = await client.get("/folder")

    assert answer.status_code == 308
    assert answer.headers["location"].endswith("/folder/")


def declared(kind: type[AppError]) -> Iterator[type[AppError]]:
    for each in kind.__subclasses__():
        yield each
        yield from declared(each)


def test_every_error_that_the_app_declares_is_of_a_kind_of_the_catalogue() -> None:
    import_everything()

    ours = [kind for kind in declared(AppError) if kind.__module__.startswith("app.")]
    strange = [kind for kind in ours if CODES.get(kind.code) != kind.status]
    assert strange == []
    assert len(ours) > len(CATALOGUE), "no feature's or layer's own error was found"


def test_the_catalogue_names_each_code_once() -> None:
    assert len(CODES) == len(CATALOGUE)


def test_no_code_is_written_by_hand() -> None:
    """A body that is not made from an error could say anything."""
    by_hand = [
        f"{path.relative_to(APP)}:{node.lineno}"
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "code" and isinstance(value, ast.Constant)
    ]

    assert by_hand == []
