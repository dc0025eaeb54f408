"""An address without parameters is matched once; all others each time."""

from __future__ import annotations

import pytest
from quart import copy_current_request_context, request, url_for
from werkzeug.routing import MapAdapter

from app.web import Application


@pytest.fixture
def app(application: Application) -> Application:
    @application.get("/fixed")
    async def fixed() -> str:
        return f"{request.endpoint}, not {url_for('open_ended', name='x')}"

    @application.post("/fixed")
    async def written() -> str:
        return "written"

    @application.get("/open/<name>")
    async def open_ended(name: str) -> str:
        return name

    @application.get("/page", defaults={"number": 1})
    async def page(number: int) -> str:
        return str(number)

    @application.get("/copied")
    async def copied() -> str:
        @copy_current_request_context
        async def inside() -> str:
            return request.path

        path: str = await inside()
        return path

    return application


@pytest.fixture
def matched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that Werkzeug was asked for."""
    asked: list[str] = []
    stock = MapAdapter.match

    def noted(self: MapAdapter, *args: object, **kwargs: object) -> object:
        asked.append(self.path_info)
        return stock(self, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(MapAdapter, "match", noted)
    return asked


async def test_an_address_without_parameters_is_matched_once(app: Application, matched: list[str]) -> None:
    answers = [await app.test_client().get(f"/fixed?turn={turn}") for turn in range(3)]

    assert {await answer.get_data() for answer in answers} == {b"fixed, not /open/x"}
    assert matched == ["/fixed"]


async def test_each_method_has_its_own_route(app: Application) -> None:
    client = app.test_client()

    for _ in range(2):
        assert (await client.get("/fixed")).status_code == 200
        assert await (await client.post("/fixed")).get_data() == b"written"
        assert (await client.head("/fixed")).status_code == 200
        assert (await client.delete("/fixed")).status_code == 405


async def test_nothing_that_clients_choose_is_kept(app: Application) -> None:
    client = app.test_client()

    named = [await (await client.get(f"/open/{name}")).get_data() for name in ("a", "b", "a")]
    for path in ("/nowhere", "/fixed/", "/page"):
        await client.get(path)

    assert named == [b"a", b"b", b"a"]
    assert not app.fixed


async def test_defaults_of_a_route_are_given_each_time(app: Application) -> None:
    assert [await (await app.test_client().get("/page")).get_data() for _ in range(2)] == [b"1", b"1"]


async def test_a_copy_of_the_context_knows_the_route_too(app: Application) -> None:
    assert [await (await app.test_client().get("/copied")).get_data() for _ in range(2)] == [b"/copied", b"/copied"]
