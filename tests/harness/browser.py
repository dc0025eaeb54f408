"""A real Chromium without a window, asked through its own DevTools protocol."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.harness.processes import kill_family
from tests.harness.waiting import eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ANSWER_LIMIT = 30.0  # seconds
START_LIMIT = 60.0  # seconds; a loaded machine, not a slow browser
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--window-size=1200,1000", "--remote-debugging-port=0"),
)


class Page:
    """One tab. `events` is all that the browser has told of it so far."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self.events: list[dict[str, Any]] = []
        self._socket = socket
        self._session = session
        self._ids = itertools.count(100)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            else:
                self.events.append(told)

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._ids)
        self._answers[number] = answered = asyncio.get_running_loop().create_future()
        message = {"id": number, "sessionId": self._session, "method": method, "params": params}
        await self._socket.send(json.dumps(message))
        async with asyncio.timeout(ANSWER_LIMIT):
            answer = await answered
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    async def open(self, url: str) -> None:
        """Go there, and note from the beginning what the page asks for, logs and is refused."""
        for domain in ("Runtime", "Log", "Network", "Page"):
            await self.command(f"{domain}.enable")
        await self.command("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        answer = await self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return answer["result"].get("value")

    def told(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event["method"] == method]

    def requested(self) -> list[str]:
        """Every address that was asked for over the network."""
        urls = [params["request"]["url"] for params in self.told("Network.requestWillBeSent")]
        return [url for url in urls if not url.startswith(("data:", "blob:"))]

    def complaints(self) -> list[str]:
        """What stands in the console as a warning or an error, a refusal by the page's policy among them."""
        logged = [params["entry"] for params in self.told("Log.entryAdded")]
        said = [params for params in self.told("Runtime.consoleAPICalled") if params["type"] in {"error", "warning"}]
        thrown = [params["exceptionDetails"] for params in self.told("Runtime.exceptionThrown")]
        return [*(entry["text"] for entry in logged), *map(str, said), *map(str, thrown)]

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def browser_page(profile: Path) -> AsyncIterator[Page]:
    """A tab of a browser that knows nothing; `profile` is an empty folder."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        *(CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        told = profile / "DevToolsActivePort"
        port, path = await eventually(lambda: told.read_text().splitlines(), within=START_LIMIT)
        async with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as socket:
            page = Page(socket, await _attach(socket))
            try:
                yield page
            finally:
                await page.close()
    finally:
        kill_family(process.pid)
        await process.wait()


async def _attach(socket: ClientConnection) -> str:
    target = await _ask(socket, 1, "Target.createTarget", url="about:blank")
    session: str = (await _ask(socket, 2, "Target.attachToTarget", targetId=target["targetId"], flatten=True))[
        "sessionId"
    ]
    return session


async def _ask(socket: ClientConnection, number: int, method: str, **params: Any) -> dict[str, Any]:
    await socket.send(json.dumps({"id": number, "method": method, "params": params}))
    while (answer := json.loads(await socket.recv())).get("id") != number:
        pass
    result: dict[str, Any] = answer["result"]
    return result
