"""What of a head reaches the application: nothing that only a server may say, and one form of every address."""

from __future__ import annotations

import pytest
from quart import request

from app.web import Application
from app.web.heads import HeadLimits
from tests.hostile.case import case, head
from tests.hostile.test_corpus import address_of
from tests.hostile.wire import Answer, play
from tests.web.conftest import Serving

pytestmark = pytest.mark.engines


@pytest.fixture
def application(application: Application) -> Application:
    """One with the limits, and a route that tells what it was asked."""
    application.asgi_app = HeadLimits(application.asgi_app)  # type: ignore[method-assign]

    @application.get("/told/<path:rest>")
    async def told(rest: str) -> dict[str, object]:
        return {
            "rest": rest,
            "host": request.host,
            "hosts": request.headers.getlist("Host"),
            "query": request.query_string.decode(),
            "remote": request.headers.getlist("Remote-Addr"),
        }

    return application


async def _ask(application: Application, serving: Serving, sent: bytes) -> Answer:
    async with serving(application) as client:
        [outcome] = await play(address_of(str(client.base_url)), [case("the one", sent)])
    return outcome.answers[0]


async def test_a_client_cannot_say_what_its_address_is(application: Application, serving: Serving) -> None:
    answer = await _ask(application, serving, head("GET", "/told/x", "Remote-Addr: 6.6.6.6", "REMOTE-ADDR: 6.6.6.7"))

    assert b'"remote":["127.0.0.1"]' in answer.body.replace(b" ", b"")


async def test_without_the_limits_it_could(application: Application, serving: Serving) -> None:
    application.asgi_app = application.asgi_app.app  # type: ignore[method-assign,attr-defined]

    answer = await _ask(application, serving, head("GET", "/told/x", "Remote-Addr: 6.6.6.6"))

    assert b"6.6.6.6" in answer.body


async def test_a_whole_url_is_the_path_in_it_and_its_host_counts(application: Application, serving: Serving) -> None:
    answer = await _ask(application, serving, head(target="HTTP://other.example:81/told/a%2Fb?q=http://x/y"))

    body = answer.body.replace(b" ", b"")
    assert b'"rest":"a/b"' in body
    assert b'"query":"q=http://x/y"' in body
    assert b'"hosts":["other.example:81"]' in body


async def test_a_path_may_hold_any_text_that_is_no_control_character(
    application: Application, serving: Serving
) -> None:
    answer = await _ask(application, serving, head(target="/told/gr%C3%B6%C3%9Fe%20%F0%9F%8C%8D"))

    assert answer.status == 200


@pytest.mark.parametrize("target", ["/told/%00", "/told/%0a", "/told/%7f", "/told/%c2%85", "/told/%ff"])
async def test_control_characters_and_what_is_no_text_reach_no_route(
    application: Application, serving: Serving, target: str
) -> None:
    answer = await _ask(application, serving, head(target=target))

    assert answer.status == 400
    assert b'"code":"BAD_REQUEST"' in answer.body
