"""A client of `/ws` for tests: it says frames, and waits for those that it names."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from tests.harness.app_process import AppProcess
from tests.harness.signed_tokens import bearer

PATIENCE = 15.0  # seconds; a loaded machine, not a slow app

Frame = dict[str, Any]


class Talk:
    """One socket, of which `welcome` and the topics that it hears without asking have been read."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: Frame = {}
        self.own: list[Frame] = []

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def next(self) -> Frame:
        """The next frame, whatever it is."""
        async with asyncio.timeout(PATIENCE):
            frame: Frame = json.loads(await self.socket.recv())
        return frame

    async def answer(self, kind: str, **fields: Any) -> Frame:
        """Say something, and give the next frame."""
        await self.say(kind, **fields)
        return await self.next()

    async def subscribe(self, topic: str) -> Frame:
        subscribed = await self.answer("subscribe", topic=topic)
        assert subscribed["type"] == "subscribed", subscribed
        return subscribed

    async def is_silent(self) -> bool:
        """True where nothing has come before the answer to a ping."""
        return await self.answer("ping") == {"type": "pong"}

    async def ended(self) -> tuple[int, str]:
        """The close code and the reason of the server; frames before that are passed over."""
        with suppress(ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                while True:
                    await self.socket.recv()
        return self.socket.close_code or 1006, self.socket.close_reason or ""


@asynccontextmanager
async def talking(
    app: AppProcess, user: str | None = None, *, headers: Mapping[str, str] | None = None, **claims: Any
) -> AsyncIterator[Talk]:
    """Open a socket, for `user` if one is named. Raises `InvalidStatus` where the handshake is refused."""
    given = {**(bearer(user, **claims) if user else {}), **(headers or {})}
    url = f"{app.url.replace('http', 'ws')}/ws"
    async with connect(url, additional_headers=given, proxy=None, compression=None, max_queue=None) as socket:
        talk = Talk(socket)
        talk.welcome = await talk.next()
        talk.own = [await talk.next() for _ in range(2 if user else 1)]
        yield talk
        try:
            await socket.close()
        except ConnectionClosedError:
            return
