"""An address without parameters is matched once; all others each time."""

from __future__ import annotations

import inspect

import pytest
from quart import Request, copy_current_request_context, request, session, url_for
from quart.ctx import RequestContext, _BaseRequestWebsocketContext
from quart.sessions import SecureCookieSessionInterface
from werkzeug.datastructures import Headers
from werkzeug.routing import MapAdapter

from app.web import Application
from app.web.routing import RoutedContext


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


async def test_an_adapter_is_made_where_it_is_asked_for(app: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    client, made = app.test_client(), list[str]()
    stock = app.create_url_adapter
    await client.get("/copied")

    def noted(incoming: Request | None) -> MapAdapter | None:
        if incoming is not None:
            made.append(incoming.path)
        return stock(incoming)

    monkeypatch.setattr(app, "create_url_adapter", noted)
    for path in ("/copied", "/copied", "/fixed"):
        await client.get(path)

    assert made == ["/fixed"]  # which is matched for the first time, and asks for an address


async def test_a_session_without_a_key_can_be_read_and_not_written(app: Application) -> None:
    @app.get("/session")
    async def read_session() -> str:
        with pytest.raises(RuntimeError, match="secret key"):
            session["seen"] = True
        return f"{session.get('seen')}"

    assert await (await app.test_client().get("/session")).get_data() == b"None"


@pytest.mark.parametrize("own", [False, True])
async def test_a_session_with_a_key_is_kept(app: Application, own: bool) -> None:
    class Own(SecureCookieSessionInterface):
        """An application may bring another one."""

    app.secret_key = "of this test"
    app.session_interface = Own() if own else app.session_interface

    @app.get("/session")
    async def count() -> str:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    client = app.test_client()

    assert [await (await client.get("/session")).get_data() for _ in range(3)] == [b"1", b"2", b"3"]


async def test_a_context_is_made_of_what_quart_makes_it_of(app: Application) -> None:
    async def push(_path: str, _headers: Headers) -> None: ...

    def incoming() -> Request:
        headers = Headers({"Host": "tested"})
        return Request("GET", "http", "/fixed", b"", headers, "", "1.1", {"type": "http"}, send_push_promise=push)  # type: ignore[typeddict-item]

    stock, ours = RequestContext(app, incoming()), RoutedContext(app, incoming())
    made = ours.url_adapter

    assert vars(ours).keys() == vars(stock).keys()
    assert vars(ours.request_websocket).keys() == vars(stock.request_websocket).keys()
    assert made is not None
    assert stock.url_adapter is not None
    assert (made.server_name, made.path_info) == (stock.url_adapter.server_name, stock.url_adapter.path_info)


def test_what_stands_in_for_quarts_own_is_what_was_read() -> None:
    push, opening = inspect.getsource(RequestContext.push), inspect.getsource(_BaseRequestWebsocketContext._push)

    assert "await super()._push_appctx(_cv_request.set(self))\n        await super()._push()\n" in push
    assert "if self.session is None:" in opening
    assert "if self.url_adapter is not None:\n            self.match_request()" in opening
    assert "super().__init__(app, request, session)" in inspect.getsource(RequestContext.__init__)
