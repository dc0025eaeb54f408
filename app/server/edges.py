"""What a role has open beside its HTTP side: who is connected, and the work that is done here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from app.core.resources import Resources
from app.feature import Feature, registry_of
from app.server.app import reviewer_of
from app.server.role import Role
from app.sockets.hub import HUB, TOPICS, open_hub
from app.tasks.worker import WORKER, Worker, open_worker
from app.web.application import Application


@asynccontextmanager
async def open_edges(
    app: Application, resources: Resources, features: Sequence[Feature], role: Role
) -> AsyncIterator[None]:
    """Found in the extensions of the application; tasks are of all features, whatever their routes."""
    async with AsyncExitStack() as opened:
        if role.serves:
            hub = open_hub(resources, app.extensions[TOPICS], reviewer_of(features))
            app.extensions[HUB] = await opened.enter_async_context(hub)
        if role.works:
            worker = open_worker(resources, registry_of(features))
            app.extensions[WORKER] = await opened.enter_async_context(worker)
        yield


async def tasks_ended(app: Application) -> None:
    """Until nothing of its worker runs any more."""
    worker: Worker = app.extensions[WORKER]
    await worker.ended.wait()
