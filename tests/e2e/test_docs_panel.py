"""The panel for the WebSockets on /docs, as a person uses it: fields, buttons, and what can be read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.browser import Page, browser_page
from tests.harness.fixtures import StartApp
from tests.harness.signed_tokens import sign
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
ANYBODY = "websocket.anonymous=true"


class Panel:
    """What a person does with it and sees of it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def connect(self, token: str = "") -> None:
        await self._fill("token", token)
        await self.page.evaluate("document.querySelector('#realtime-connect button').click()")

    async def subscribe(self, topic: str) -> None:
        await self._fill("topic", topic)
        await self.page.evaluate("document.querySelector('#realtime-subscribe button').click()")

    async def _fill(self, field: str, text: str) -> None:
        await self.page.evaluate(f"document.getElementById('realtime-{field}').value = {json.dumps(text)}")

    async def read(self, part: str) -> str:
        return str(await self.page.evaluate(f"document.getElementById('realtime-{part}').innerText"))

    async def shows(self, part: str, text: str) -> None:
        async def shown() -> bool:
            now = await self.read(part)
            assert text in now, now
            return True

        await eventually(shown, within=30)

    async def count(self, selector: str) -> int:
        return int(await self.page.evaluate(f"document.querySelectorAll('#realtime {selector}').length"))


@asynccontextmanager
async def panel_of(app: AppProcess, profile: Path, *, width: int = 1400) -> AsyncIterator[Panel]:
    async with browser_page(profile) as page:
        await page.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        await page.open(f"{app.url}/docs")
        await eventually(partial(page.evaluate, "!!document.querySelector('.opblock')"), within=60)
        await eventually(
            partial(page.evaluate, "!!document.querySelector('#realtime-connect button:enabled')"), within=60
        )
        yield Panel(page)


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def start(app_process: StartApp) -> StartApp:
    return partial(app_process, "redis.timeout=5", module="tests.e2e.pushing")


async def test_it_shows_what_arrives_and_breaks_no_policy(
    start: StartApp, opened: AsyncExitStack, tmp_path: Path
) -> None:
    app = await start(ANYBODY)
    panel = await opened.enter_async_context(panel_of(app, tmp_path / "profile"))

    before = await panel.read("state")
    await panel.connect()
    await panel.shows("state", "connected, not signed in")
    await panel.subscribe("room:7")
    await panel.shows("events", "room:7: subscribed")
    await app.http.post("/test/push/room:7", json={"text": "<img src=x onerror=alert(1)>"})
    await app.http.post("/test/push/everyone", json="hello")
    await panel.shows("events", '{"text":"<img src=x onerror=alert(1)>"}')
    await panel.shows("events", "everyone #1")
    await panel.subscribe("desk:1")
    await panel.shows("events", "desk:1: You may not do this")
    topics, images = await panel.count("#realtime-topics li"), await panel.count("img")
    requested, complaints = panel.page.requested(), panel.page.complaints()

    assert before == "not connected"
    assert (topics, images) == (1, 0)
    assert complaints == []
    assert {urlsplit(url).netloc for url in requested} == {urlsplit(app.url).netloc}
    assert any(urlsplit(url).path == "/static/realtime.js" and "?v=" in url for url in requested)


async def test_the_list_is_bounded(start: StartApp, opened: AsyncExitStack, tmp_path: Path) -> None:
    app = await start(ANYBODY)
    panel = await opened.enter_async_context(panel_of(app, tmp_path / "profile"))
    await panel.connect()
    await panel.shows("state", "connected, not signed in")

    for number in range(120):
        await app.http.post("/test/push/everyone", json=number)

    await panel.shows("events", "everyone #120")
    assert await panel.count("#realtime-events li") == 100


async def test_a_token_is_exchanged_for_a_ticket_and_stands_in_no_address(
    start: StartApp, opened: AsyncExitStack, tmp_path: Path
) -> None:
    app, token = await start(), sign("ada")
    panel = await opened.enter_async_context(panel_of(app, tmp_path / "profile"))

    await panel.connect(token)
    await panel.shows("state", "connected as ada")
    await panel.subscribe("desk:1")
    await panel.shows("events", "desk:1: subscribed")
    created = [each["url"] for each in panel.page.told("Network.webSocketCreated")]

    assert panel.page.complaints() == []
    assert len(created) == 1
    assert "/ws?ticket=" in created[0]
    assert not [url for url in [*created, *panel.page.requested()] if token in url]


async def test_a_token_that_is_not_taken_is_told_and_not_tried_again(
    start: StartApp, opened: AsyncExitStack, tmp_path: Path
) -> None:
    app = await start(ANYBODY)
    panel = await opened.enter_async_context(panel_of(app, tmp_path / "profile"))

    await panel.connect("made.up")

    await panel.shows("state", "the token is not taken: Sign in first, or send valid credentials.")
    await panel.shows("connect", "Connect")
    asked = [url for url in panel.page.requested() if url.endswith("/tickets")]
    assert len(asked) == 1
    assert panel.page.told("Network.webSocketCreated") == []


async def test_without_a_token_where_one_is_needed_it_says_so_after_one_try(
    start: StartApp, opened: AsyncExitStack, tmp_path: Path
) -> None:
    app = await start("websocket.anonymous=false")
    panel = await opened.enter_async_context(panel_of(app, tmp_path / "profile"))

    await panel.connect()

    await panel.shows("state", "refused: without a token only where websocket.anonymous is on")
    assert len(panel.page.told("Network.webSocketCreated")) == 1
    assert await eventually(lambda: app.events("websocket_refused"), within=10)


async def test_a_server_that_is_gone_is_told_apart_from_one_that_refuses(
    start: StartApp, opened: AsyncExitStack, tmp_path: Path
) -> None:
    app = await start(ANYBODY)
    panel = await opened.enter_async_context(panel_of(app, tmp_path / "profile"))
    app.kill()
    await app.wait(within=10)

    await panel.connect()

    await panel.shows("state", "the server does not answer")


async def test_a_connection_that_was_open_comes_back_with_its_topics(
    start: StartApp, opened: AsyncExitStack, tmp_path: Path, own_port: int
) -> None:
    app = await start(ANYBODY, "websocket.reconnect_spread=0", f"server.port={own_port}")
    panel = await opened.enter_async_context(panel_of(app, tmp_path / "profile"))
    await panel.connect()
    await panel.subscribe("room:7")
    await panel.shows("events", "room:7: subscribed")
    app.kill()
    await app.wait(within=10)
    await panel.shows("state", "lost; trying again in")

    again = await start(ANYBODY, f"server.port={own_port}")

    await panel.shows("state", "connected, not signed in")

    async def heard() -> bool:  # what is pushed before the page has asked for its topic again counts as missed
        await again.http.post("/test/push/room:7", json="still here")
        return '"still here"' in await panel.read("events")

    await eventually(heard, within=30)


async def test_it_disconnects_on_request(start: StartApp, opened: AsyncExitStack, tmp_path: Path) -> None:
    app = await start(ANYBODY)
    panel = await opened.enter_async_context(panel_of(app, tmp_path / "profile"))
    await panel.connect()
    await panel.subscribe("room:7")
    await panel.shows("events", "room:7: subscribed")

    await panel.connect()  # the same button

    await panel.shows("state", "not connected")
    closed = await eventually(lambda: app.events("websocket_closed"), within=10)
    assert closed[0]["code"] == 1000
    assert await panel.count("#realtime-topics li") == 0


@pytest.mark.parametrize(("width", "beside"), [(1400, True), (390, False)])
async def test_it_stands_beside_the_document_or_folded_above_it_on_a_phone(
    start: StartApp, opened: AsyncExitStack, tmp_path: Path, width: int, beside: bool
) -> None:
    app = await start(ANYBODY)
    panel = await opened.enter_async_context(panel_of(app, tmp_path / "profile", width=width))

    unfolded = await panel.page.evaluate("document.querySelector('#realtime details').open")
    await panel.page.evaluate("document.querySelector('#realtime details').open = true")
    await panel.connect()
    await panel.shows("state", "connected, not signed in")
    await panel.subscribe("room:" + "a" * 64)
    await panel.shows("events", "subscribed")
    await app.http.post("/test/push/everyone", json="x" * 3000)
    await panel.shows("events", "everyone #1")
    edges = await panel.page.evaluate("""["realtime", "docs"].map((id) => {
      const box = document.getElementById(id).getBoundingClientRect();
      return [box.left, box.right, box.top];
    })""")
    scrolls = await panel.page.evaluate("document.documentElement.scrollWidth > innerWidth")

    (left, right, top), (_, docs_right, docs_top) = edges
    assert unfolded is beside
    assert not scrolls
    assert right <= width
    assert (left >= docs_right) is beside
    assert (docs_top > top) is not beside


async def test_a_token_is_not_sent_by_the_form_itself_before_the_script_is_there(start: StartApp) -> None:
    app = await start(ANYBODY)

    page = (await app.http.get("/docs")).text

    assert '<form id="realtime-connect">' in page
    assert "<button disabled>Connect</button>" in page
