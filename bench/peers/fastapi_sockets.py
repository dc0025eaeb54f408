"""A minimal FastAPI application with sockets, as its users write one: a registry, a broadcast, an echo.

It has what is measured and nothing else: nobody signs in, nothing is limited, watched, counted or logged.

Its broadcast awaits each `send`, in turn or all together. On uvicorn that waits while the peer's buffer is full, so no
buffer grows without bound, but one slow client holds up the broadcast, which is why services do not leave it at that.
With BENCH_BOUNDED=1 each client has a queue and a task that empties it, and who does not keep up is dropped: our terms.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from redis.asyncio import Redis

CHANNEL = "bench"
BOUNDED = os.environ.get("BENCH_BOUNDED") == "1"
WAITING = 64  # messages for a client that does not keep up

sockets: dict[WebSocket, asyncio.Queue[str]] = {}
redis = Redis.from_url(os.environ["BENCH_REDIS_URL"], decode_responses=True)


async def in_turn(text: str) -> None:
    for websocket in list(sockets):
        await websocket.send_text(text)


async def together(text: str) -> None:
    await asyncio.gather(*(websocket.send_text(text) for websocket in list(sockets)))


async def queued(text: str) -> None:
    for websocket, queue in list(sockets.items()):
        try:
            queue.put_nowait(text)
        except asyncio.QueueFull:
            del sockets[websocket]
            await websocket.close(1013)


WAYS = {"in turn": in_turn, "together": together, "queued": queued}


async def emptied(websocket: WebSocket, queue: asyncio.Queue[str]) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await websocket.send_text(await queue.get())


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(CHANNEL)
        forwarding = asyncio.create_task(forward(pubsub.listen()))
        yield
        forwarding.cancel()


async def forward(messages: AsyncIterator[dict[str, str]]) -> None:
    push = queued if BOUNDED else in_turn
    async for message in messages:
        if message["type"] == "message":
            await push(message["data"])


app = FastAPI(lifespan=lifespan)


@app.websocket("/ws")
async def realtime(websocket: WebSocket) -> None:
    await websocket.accept()
    sockets[websocket] = asyncio.Queue(WAITING)
    emptying = asyncio.create_task(emptied(websocket, sockets[websocket])) if BOUNDED else None
    try:
        await websocket.send_json({"type": "welcome"})
        while True:
            message = await websocket.receive_json()
            if message["type"] == "ping":
                await websocket.send_json({"type": "pong"})
    except WebSocketDisconnect:
        pass
    finally:
        sockets.pop(websocket, None)
        if emptying:
            emptying.cancel()


@app.post("/bench/broadcast")
async def broadcast(request: Request, way: str) -> dict[str, int]:
    """To every socket of this process."""
    await WAYS[way]((await request.body()).decode())
    return {"sockets": len(sockets)}


@app.post("/bench/publish")
async def publish(request: Request) -> dict[str, int]:
    """To every socket of every process."""
    return {"heard": await redis.publish(CHANNEL, (await request.body()).decode())}


@app.get("/health/live")
async def live() -> dict[str, int]:
    return {"sockets": len(sockets)}
