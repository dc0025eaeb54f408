"""What a WebSocket of Hypercorn's reads from: our inbox, in the place of its queue to the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from hypercorn.asyncio.task_group import _handle
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, Scope, TaskGroup

from app.server.inbox import Inbox

Send = Callable[[ASGISendEvent | None], Awaitable[None]]
Put = Callable[[ASGIReceiveEvent], Awaitable[None]]


class InboxTasks:
    """Hypercorn's tasks of a connection, as far as a stream needs them: the application reads from an inbox."""

    def __init__(self, tasks: TaskGroup, inbox: Inbox) -> None:
        self.tasks = tasks
        self.inbox = inbox

    async def spawn_app(self, app: AppWrapper, config: Config, scope: Scope, send: Send) -> Put:
        # The last two are for applications that are no coroutines.
        self.tasks.spawn(_handle, app, config, scope, self.inbox.get, send, None, None)
        return cast(Put, self.put)

    async def put(self, event: dict[str, Any]) -> None:
        self.inbox.put(event)
