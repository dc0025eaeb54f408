"""A minimal Starlette application with sockets, as its users write one: a registry, a broadcast, an echo.

It has what is measured and nothing else: nobody signs in, nothing is limited, watched, counted or logged.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

CHANNEL = "bench"

sockets: set[WebSocket] = set()
redis = Redis.from_url(os.environ["BENCH_REDIS_URL"], decode_responses=True)


async def realtime(websocket: WebSocket) -> None:
    await websocket.accept()
    sockets.add(websocket)
    try:
        await websocket.send_json({"type": "welcome"})
        while True:
            message = await websocket.receive_json()
            if message["type"] == "ping":
                await websocket.send_json({"type": "pong"})
    except WebSocketDisconnect:
        pass
    finally:
        sockets.discard(websocket)


async def one_after_another(text: str) -> None:
    for websocket in list(sockets):
        await websocket.send_text(text)


async def all_together(text: str) -> None:
    await asyncio.gather(*(websocket.send_text(text) for websocket in list(sockets)))


WAYS = {"sequential": one_after_another, "gather": all_together}


async def broadcast(request: Request) -> JSONResponse:
    """To every socket of this process."""
    await WAYS[request.query_params["way"]]((await request.body()).decode())
    return JSONResponse({})


async def publish(request: Request) -> JSONResponse:
    """To every socket of every process."""
    await redis.publish(CHANNEL, (await request.body()).decode())
    return JSONResponse({})


async def live(_: Request) -> JSONResponse:
    return JSONResponse({"sockets": len(sockets)})


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(CHANNEL)
        forwarding = asyncio.create_task(forward(pubsub.listen()))
        yield
        forwarding.cancel()


async def forward(messages: AsyncIterator[dict[str, str]]) -> None:
    async for message in messages:
        if message["type"] == "message":
            await one_after_another(message["data"])


app = Starlette(
    routes=[
        WebSocketRoute("/ws", realtime),
        Route("/bench/broadcast", broadcast, methods=["POST"]),
        Route("/bench/publish", publish, methods=["POST"]),
        Route("/health/live", live),
    ],
    lifespan=lifespan,
)
