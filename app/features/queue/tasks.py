"""The housekeeping of tasks and events, as work to be done."""

from __future__ import annotations

from app.tasks.sweeping import sweeping_task

SWEEP_FINISHED_TASKS = sweeping_task("queue.sweep_finished_tasks")
SWEEP_OUTBOX = sweeping_task("queue.sweep_outbox")
SWEEP_PROCESSED_EVENTS = sweeping_task("queue.sweep_processed_events")
SWEEP_IDEMPOTENCY_KEYS = sweeping_task("queue.sweep_idempotency_keys")
