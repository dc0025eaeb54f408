"""Long bodies share the event loop: with other requests, and with the news that their client has gone."""

from __future__ import annotations

import asyncio

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope


class FairStreams:
    """Let the loop turn between the parts of a streamed body.

    Once a client has gone, the server takes every further part without waiting: a generator that never waits
    either would then hold the loop, and with it the whole process, until it ends by itself.
    """

    def __init__(self, app: ASGIFramework) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await self.app(scope, receive, _fair(send) if scope["type"] == "http" else send)


def _fair(send: ASGISendCallable) -> ASGISendCallable:
    parts = 0

    async def fair(event: ASGISendEvent) -> None:
        nonlocal parts
        await send(event)
        if event["type"] == "http.response.body" and event.get("more_body", False):
            parts += 1
            if parts > 1:  # an ordinary answer is one part and pays nothing
                await asyncio.sleep(0)

    return fair
