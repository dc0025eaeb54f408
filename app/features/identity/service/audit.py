"""Writes down every act that matters to security: an event in its transaction, a line in the log once it is stored."""

from __future__ import annotations

from uuid import UUID

import structlog

from app.core.queue import Event
from app.core.resources import Resources
from app.features.identity.events import Act
from app.features.identity.models import Visitor

log = structlog.get_logger(__name__)

NOWHERE = Visitor("")  # the command line


async def record(
    resources: Resources,
    event: Event[Act],
    user_id: UUID,
    *,
    by: UUID | None,
    visitor: Visitor = NOWHERE,
    about: object = "",
    known: bool = True,
) -> None:
    """Needs the open transaction of the act itself; raises `NoTransaction` without one.

    `known` is False where `user_id` only stands for an address that nobody has (`stand_in`).
    """
    act = Act(user_id if known else None, by, visitor.address, str(about))
    await resources.queue.publish(event, user_id, act)
    fields = {name: str(value) for name, value in vars(act).items() if value}
    resources.database.open_transaction().after_commit(lambda: log.info(event.name.replace(".", "_"), **fields))
