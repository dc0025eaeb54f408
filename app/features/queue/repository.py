"""What is over and may go: ended tasks, events that were handed on, and what was remembered of both."""

from __future__ import annotations

from sqlalchemy import ColumnElement, literal_column

from app.core.queue.tables import finished_tasks, outbox, processed_events
from app.tasks.sweeping import Sweep
from app.web.tables import idempotency_keys


def _is(status: str) -> ColumnElement[bool]:
    """In the text: with a parameter, the index of those that are not done would not be used."""
    return finished_tasks.c.status == literal_column(f"'{status}'")


DONE_TASKS = Sweep(finished_tasks, finished_tasks.c.finished_at, _is("done"), name="sweep_done_tasks")
DEAD_TASKS = Sweep(finished_tasks, finished_tasks.c.finished_at, _is("dead"), name="sweep_dead_tasks")
CANCELLED_TASKS = Sweep(finished_tasks, finished_tasks.c.finished_at, _is("cancelled"), name="sweep_cancelled_tasks")
HANDED_ON_EVENTS = Sweep(outbox, outbox.c.processed_at, name="sweep_outbox")
PROCESSED_EVENTS = Sweep(processed_events, processed_events.c.processed_at, name="sweep_processed_events")

# Each request that stores a new key takes some expired ones along. This is for those that are left when no more come.
EXPIRED_KEYS = Sweep(idempotency_keys, idempotency_keys.c.expires_at, name="sweep_idempotency_keys")
