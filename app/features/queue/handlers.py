"""Who does the housekeeping of the queue, and when: at minutes of their own, so that sweeps do not meet."""

from __future__ import annotations

from typing import Any

from app.features.queue import service
from app.features.queue.tasks import (
    SWEEP_FINISHED_TASKS,
    SWEEP_IDEMPOTENCY_KEYS,
    SWEEP_OUTBOX,
    SWEEP_PROCESSED_EVENTS,
)
from app.tasks import Cron, Handler, Schedule, Work
from app.tasks.sweeping import Nothing


async def sweep_finished_tasks(work: Work[Nothing]) -> None:
    await service.sweep_finished_tasks(work.resources)


async def sweep_outbox(work: Work[Nothing]) -> None:
    await service.sweep_outbox(work.resources)


async def sweep_processed_events(work: Work[Nothing]) -> None:
    await service.sweep_processed_events(work.resources)


async def sweep_idempotency_keys(work: Work[Nothing]) -> None:
    await service.sweep_idempotency_keys(work.resources)


handlers: tuple[Handler[Any], ...] = (
    Handler(SWEEP_FINISHED_TASKS, sweep_finished_tasks),
    Handler(SWEEP_OUTBOX, sweep_outbox),
    Handler(SWEEP_PROCESSED_EVENTS, sweep_processed_events),
    Handler(SWEEP_IDEMPOTENCY_KEYS, sweep_idempotency_keys),
)

schedules: tuple[Schedule[Any], ...] = (
    Schedule("queue.sweep_finished_tasks", Cron("*/10 * * * *"), SWEEP_FINISHED_TASKS, Nothing()),
    Schedule("queue.sweep_outbox", Cron("3-59/10 * * * *"), SWEEP_OUTBOX, Nothing()),
    Schedule("queue.sweep_processed_events", Cron("17 * * * *"), SWEEP_PROCESSED_EVENTS, Nothing()),
    Schedule("queue.sweep_idempotency_keys", Cron("27 * * * *"), SWEEP_IDEMPOTENCY_KEYS, Nothing()),
)
