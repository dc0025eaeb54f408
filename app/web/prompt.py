"""Answers that are always the same, given before a route is looked for: who watches asks for them all the time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from app.core.lifecycle import Lifecycle
from app.web.exchange import exchange_of

BODIES = frozenset({b"content-length", b"transfer-encoding"})


@dataclass(frozen=True)
class PromptAnswer:
    """What GET of `path` is answered with, 200; it stands for a route that says the same and is not `counted`."""

    path: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


class PromptAnswers:
    """Gives them where nothing else is asked: whatever is out of the ordinary goes its way to the route.

    That is another method, a body, and a process that drains, whose clients are told to go elsewhere.
    """

    def __init__(self, app: ASGIFramework, *, answers: Iterable[PromptAnswer], lifecycle: Lifecycle) -> None:
        self.app = app
        self.answers = {each.path: each for each in answers}
        self.lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        answer = self._answer(scope) if scope["type"] == "http" else None
        if answer is None:
            await self.app(scope, receive, send)
            return
        exchange = exchange_of(scope)
        exchange.route, exchange.logged = answer.path, False
        length = (b"content-length", b"%d" % len(answer.body))
        headers = [*answer.headers, length]
        await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": answer.body, "more_body": False})

    def _answer(self, scope: HTTPScope) -> PromptAnswer | None:
        answer = self.answers.get(scope["path"])
        if answer is None or scope["method"] != "GET" or self.lifecycle.draining:
            return None
        return None if any(name in BODIES for name, _ in scope["headers"]) else answer
