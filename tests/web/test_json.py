"""A handler that reads JSON by itself meets the same strictness as one that declares its body."""

from __future__ import annotations

from typing import Any

import pytest
from quart import Quart, request

from app.core.lifecycle import Lifecycle
from app.web import Application
from app.web.json import OrjsonProvider
from tests.web.conftest import Serving

JSON = {"content-type": "application/json"}


@pytest.fixture
def application() -> Application:
    """Its address says how the body is read."""
    app = Application("app", request_timeout=20, lifecycle=Lifecycle())
    app.json = OrjsonProvider(app)

    @app.post("/plain")
    async def plain() -> dict[str, Any]:
        return {"read": await request.get_json()}

    @app.post("/silent")
    async def silent() -> dict[str, Any]:
        return {"read": await request.get_json(silent=True)}

    @app.post("/forced")
    async def forced() -> dict[str, Any]:
        return {"read": await request.get_json(force=True)}

    return app


@pytest.mark.engines
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf{}", "UTF-8 byte order mark (BOM) is not supported at line 1, column 1"),
        (b'["\xff"]', "it is not UTF-8 at line 1, column 3"),
        (b'{"a": 1, "a": 2}', "an object has the same key twice at line 1, column 10"),
        (b"[" * 100_000, "it is nested deeper than 64 levels"),
        (b"[NaN]", "unexpected character, expected a JSON value at line 1, column 2"),
    ],
)
async def test_what_is_not_json_is_400_with_the_reason(
    application: Application, serving: Serving, content: bytes, reason: str
) -> None:
    async with serving(application) as client:
        answers = [await client.post(path, content=content, headers=JSON) for path in ("/plain", "/forced")]
        silent = await client.post("/silent", content=content, headers=JSON)

    expected = {"error": f"The body cannot be read as JSON: {reason}.", "code": "BAD_REQUEST"}
    assert [(answer.status_code, answer.json()) for answer in answers] == [(400, expected)] * 2
    assert silent.json() == {"read": None}


@pytest.mark.engines
async def test_another_type_is_415_unless_it_is_to_be_read_all_the_same(
    application: Application, serving: Serving
) -> None:
    async with serving(application) as client:
        plain, silent, forced = [
            await client.post(path, content=b"[1]", headers={"content-type": "text/plain"})
            for path in ("/plain", "/silent", "/forced")
        ]

    assert (plain.status_code, plain.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (silent.json(), forced.json()) == ({"read": None}, {"read": [1]})


async def test_stock_reads_nan_and_the_last_of_two_keys_and_breaks_at_depth() -> None:
    """The control: what the reader above is for."""
    stock = Quart(__name__)

    @stock.post("/")
    async def read() -> str:
        return repr(await request.get_json())

    client = stock.test_client()
    doubtful = await client.post("/", data=b'{"a": 1, "a": NaN}', headers=JSON)
    deep = await client.post("/", data=b"[" * 100_000, headers=JSON)

    assert (doubtful.status_code, await doubtful.get_data(as_text=True)) == (200, "{'a': nan}")
    assert deep.status_code == 500
