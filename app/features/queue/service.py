"""Housekeeping of the queue: what has ended is kept as long as the settings say."""

from __future__ import annotations

from app.core.resources import Resources
from app.features.queue.repository import (
    CANCELLED_TASKS,
    DEAD_TASKS,
    DONE_TASKS,
    EXPIRED_KEYS,
    HANDED_ON_EVENTS,
    PROCESSED_EVENTS,
)
from app.tasks.sweeping import sweep


async def sweep_finished_tasks(resources: Resources) -> int:
    """How many rows went; those that went well are kept for less long than those that a person may have to look at."""
    keep = resources.settings.worker
    done = await sweep(resources, DONE_TASKS, keep=keep.keep_done)
    dead = await sweep(resources, DEAD_TASKS, keep=keep.keep_dead)
    return done + dead + await sweep(resources, CANCELLED_TASKS, keep=keep.keep_dead)


async def sweep_outbox(resources: Resources) -> int:
    return await sweep(resources, HANDED_ON_EVENTS, keep=resources.settings.worker.keep_events)


async def sweep_processed_events(resources: Resources) -> int:
    return await sweep(resources, PROCESSED_EVENTS, keep=resources.settings.worker.keep_processed)


async def sweep_idempotency_keys(resources: Resources) -> int:
    return await sweep(resources, EXPIRED_KEYS)
