"""/docs in a real browser: it shows every operation, breaks no policy and asks nobody else for anything.

Its panel for the WebSockets is in test_docs_panel.py.
"""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.browser import Page, browser_page
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(90),
]
OPERATIONS = "document.querySelectorAll('.opblock').length"


async def shows_operations(page: Page, app: AppProcess) -> None:
    document = (await app.http.get("/openapi.json")).json()
    expected = sum(len(item) for item in document["paths"].values())

    async def all_there() -> bool:
        return bool(await page.evaluate(OPERATIONS) == expected)

    await eventually(all_there, within=60)


async def test_the_page_shows_every_operation_and_breaks_no_policy(app_process: StartApp, tmp_path: Path) -> None:
    app = await app_process()

    async with browser_page(tmp_path / "profile") as page:
        await page.open(f"{app.url}/docs")
        await shows_operations(page, app)
        await page.evaluate("document.querySelector('.opblock-summary-control').click()")
        await eventually(lambda: page.evaluate("!!document.querySelector('.try-out__btn')"), within=30)
        shot = await page.command("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        complaints, requested = page.complaints(), page.requested()

    (tmp_path / "docs.png").write_bytes(base64.b64decode(shot["data"]))
    assert complaints == []
    assert {urlsplit(url).netloc for url in requested} == {urlsplit(app.url).netloc}
    assert {urlsplit(url).path for url in requested} >= {"/docs", "/docs/swagger-ui-bundle.js", "/openapi.json"}


async def test_an_operation_can_be_tried_from_the_page(app_process: StartApp, tmp_path: Path) -> None:
    app = await app_process()

    async with browser_page(tmp_path / "profile") as page:
        await page.open(f"{app.url}/docs#/health/health.live")
        await eventually(lambda: page.evaluate("!!document.querySelector('.try-out__btn')"), within=60)
        await page.evaluate("document.querySelector('.try-out__btn').click()")
        await eventually(lambda: page.evaluate("!!document.querySelector('.btn.execute')"), within=30)
        await page.evaluate("document.querySelector('.btn.execute').click()")
        await eventually(lambda: page.evaluate("!!document.querySelector('.live-responses-table')"), within=30)
        shown = await page.evaluate("document.querySelector('.live-responses-table').innerText")

    assert '"status": "ok"' in shown
    assert page.complaints() == []


async def test_control_a_script_of_another_origin_is_refused_and_told(app_process: StartApp, tmp_path: Path) -> None:
    """What the first test looks for is there when a policy is broken."""
    app = await app_process()

    async with browser_page(tmp_path / "profile") as page:
        await page.open(f"{app.url}/docs")
        await shows_operations(page, app)
        await page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 1'}))"
        )
        told = await eventually(page.complaints, within=10)
        ran = await page.evaluate("window.ran")

    assert any("Content Security Policy" in each for each in told), told
    assert ran is None
