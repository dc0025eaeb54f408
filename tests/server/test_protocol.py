"""What the server says by itself: on the wire, in the log, and when an application does not say anything."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope
from quart import Quart

from app.server.engine import contained
from app.web import Application
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.hostile.case import Case, case, head, kept
from tests.hostile.test_corpus import address_of
from tests.hostile.upgrades import KEY, VERSION, handshake
from tests.hostile.wire import Answer, play
from tests.web import conftest as web
from tests.web.conftest import Serving

application, serving = web.application, web.serving
EXITS = [SystemExit, KeyboardInterrupt]


async def _answer(url: str, sent: bytes | Case) -> Answer:
    [outcome] = await play(address_of(url), [sent if isinstance(sent, Case) else case("the one", sent)])
    assert not outcome.trouble
    return outcome.answers[0]


def _without_a_word(application: Application) -> None:
    """Let Quart answer /live, and leave everything else without an answer."""
    inside = Quart.asgi_app.__get__(application)

    @application.get("/live")
    async def live() -> str:
        return "alive"

    async def silent(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan" or scope["path"] == "/live":
            await inside(scope, receive, send)

    application.asgi_app = silent  # type: ignore[method-assign]


@pytest.mark.engines
@pytest.mark.parametrize("sent", [head(), handshake(KEY, VERSION)], ids=["a request", "a handshake"])
async def test_an_application_that_says_nothing_is_a_500_in_our_body(
    application: Application, serving: Serving, sent: bytes
) -> None:
    _without_a_word(application)

    async with serving(application) as client:
        answer = await _answer(str(client.base_url), sent)
        alive = await client.get("/live")

    assert answer.status == 500
    assert orjson.loads(answer.body) == {"error": "Something went wrong on our side.", "code": "PANIC"}
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert alive.text == "alive"


@pytest.mark.parametrize("kind", EXITS)
async def test_an_exit_out_of_a_layer_stays_in_its_request(kind: type[BaseException]) -> None:
    async def leaving(*_: object) -> None:
        raise kind

    with pytest.raises(RuntimeError, match=kind.__name__) as raised:
        await contained(leaving)(*[None] * 3)

    assert isinstance(raised.value.__cause__, kind)


async def test_control_without_the_containment_it_leaves_the_event_loop() -> None:
    async def leaving(*_: object) -> None:
        raise SystemExit

    def serve(app: ASGIFramework) -> None:
        async def main() -> None:
            await asyncio.gather(asyncio.create_task(app(*[None] * 3)), return_exceptions=True)  # type: ignore[arg-type]

        asyncio.run(main())

    with pytest.raises(SystemExit):
        await asyncio.to_thread(serve, leaving)
    await asyncio.to_thread(serve, contained(leaving))


@pytest.mark.engines
async def test_what_was_refused_is_told_to_the_log_once_and_without_what_was_sent(app_process: StartApp) -> None:
    app = await app_process()

    answer = await _answer(app.url, head("GET", "/", 'Authorization : Bearer canary", "event": "forged'))

    line = await _refused(app)
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["status"], line["code"], line["client"]) == (400, "BAD_REQUEST", "127.0.0.1")
    assert line["level"] == "info"
    assert "canary" not in repr(app.logs)
    assert app.events("forged") == []


@pytest.mark.engines
async def test_a_body_that_breaks_off_is_refused_under_the_id_of_its_request(app_process: StartApp) -> None:
    app = await app_process()
    lines = ["Content-Type: application/json", "Transfer-Encoding: chunked", "Expect: 100-continue"]
    begun = head("POST", "/test/json", *lines, "X-Request-Id: known-by-its-id")

    answer = await _answer(app.url, replace(case("the one", (begun, b"garbage\r\n")), patient=True))

    assert answer.headers["x-request-id"] == "known-by-its-id"
    assert (await _refused(app))["request_id"] == "known-by-its-id"


@pytest.mark.engines
async def test_a_refusal_of_h2c_says_what_to_do(app_process: StartApp) -> None:
    app = await app_process()

    answer = await _answer(app.url, kept("/", "Connection: Upgrade", "Upgrade: h2c"))

    assert orjson.loads(answer.body)["error"] == "HTTP/2 is not spoken without TLS; please use HTTP/1.1."
    assert answer.headers["connection"] == "close"


@pytest.mark.engines
async def test_a_body_that_nobody_waits_for_ends_the_connection_as_announced(app_process: StartApp) -> None:
    app = await app_process()

    answer = await _answer(app.url, kept("/nowhere", "Content-Length: 100000", method="POST") + bytes(10))

    assert answer.status == 404
    assert answer.headers["connection"] == "close"


async def _refused(app: AppProcess) -> dict[str, object]:
    lines = await eventually(lambda: app.events("request_refused"), within=20)
    assert len(lines) == 1
    return dict(lines[0])
