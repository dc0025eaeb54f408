"""A server that speaks the frames of /ws and does what a test tells it, on the origin of a page with the client."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets import Headers, Request, Response
from websockets.asyncio.server import ServerConnection, serve

from app.core.settings import PROJECT_ROOT

CLIENT = PROJECT_ROOT / "app" / "features" / "static" / "files" / "realtime.js"
Frame = dict[str, Any]


class Speaker:
    """`heard` has what each connection has said, oldest connection first; `paths` their addresses."""

    def __init__(self) -> None:
        self.url = ""
        self.heartbeat_interval = 30.0  # seconds
        self.answers = True  # pings of the page
        self.positions: dict[str, tuple[str | None, int | None]] = {}
        self.refuses: dict[str, Frame] = {}  # what a subscription is answered instead
        self.heard: list[list[Frame]] = []
        self.paths: list[str] = []
        self.ended: list[int | None] = []
        self._open: ServerConnection | None = None
        self._ids = itertools.count(1)

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.paths.append(socket.request.path)
        self.heard.append(heard := [])
        self._open = socket
        await self.say(
            {"type": "welcome", "connection_id": f"c{next(self._ids)}", "user_id": "ada"}
            | {"heartbeat_interval": self.heartbeat_interval}
        )
        for topic in ("everyone", "user:ada"):
            await self.say(self._subscribed(topic))
        async for message in socket:
            heard.append(frame := json.loads(message))
            await self._answer(frame)
        self.ended.append(socket.close_code)

    async def _answer(self, frame: Frame) -> None:
        match frame["type"]:
            case "subscribe":
                await self.say(self.refuses.get(frame["topic"]) or self._subscribed(frame["topic"]))
            case "ping" if self.answers:
                await self.say({"type": "pong"})

    def _subscribed(self, topic: str) -> Frame:
        epoch, seq = self.positions.setdefault(topic, ("one", 0))
        return {"type": "subscribed", "topic": topic, "epoch": epoch, "seq": seq}

    async def say(self, frame: Frame) -> None:
        assert self._open is not None
        await self._open.send(json.dumps(frame))

    async def push(self, topic: str, seq: int, data: object) -> None:
        self.positions[topic] = (self.positions[topic][0], seq)
        await self.say({"type": "event", "topic": topic, "seq": seq, "data": data})

    async def close(self, code: int, reason: str = "") -> None:
        assert self._open is not None
        await self._open.close(code, reason)

    def cut(self) -> None:
        """The connection is lost: no close frame."""
        assert self._open is not None
        self._open.transport.abort()


@asynccontextmanager
async def speaking() -> AsyncIterator[Speaker]:
    speaker = Speaker()
    async with serve(speaker.serve, "127.0.0.1", 0, process_request=_files, compression=None) as server:
        host, port = next(iter(server.sockets)).getsockname()[:2]
        speaker.url = f"http://{host}:{port}"
        yield speaker


def _files(_: ServerConnection, request: Request) -> Response | None:
    """The page and the client; None lets a WebSocket through."""
    if request.path.startswith("/ws"):
        return None
    kind, body = ("text/html", b"<!doctype html><title>A page</title>")
    if request.path == "/static/realtime.js":
        kind, body = ("text/javascript", CLIENT.read_bytes())
    headers = Headers(
        {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body)), "Connection": "close"}
    )
    return Response(200, "OK", headers, body)
