"""Section `worker`: background tasks, events and schedules."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import declare

DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """The process that does what was asked for: how much at once, how it is watched, and what is kept afterwards."""

    port: int = declare.whole(
        8001, 0, 65_535, "Port at which a worker tells its health and metrics, on server.host; 0 is any free one."
    )
    concurrency: int = declare.whole(10, 1, 1000, "Tasks that one worker runs at once.")
    lease: float = declare.seconds(
        30.0, 1, 3600, "How long a task belongs to a worker that gives no sign of life; then another one takes it."
    )
    poll_interval: float = declare.seconds(
        1.0, 0.05, 60, "Time between two looks for work, where no hint of new work comes before."
    )
    shutdown_timeout: float = declare.seconds(
        30.0, 0, 3600, "How long running tasks may go on after a signal; then they are given back, for another worker."
    )
    max_crashes: int = declare.whole(
        3, 1, 100, "Workers that may be lost while they run one task; after that it is dead and harms no more of them."
    )
    retry_delay: float = declare.seconds(
        2.0, 0, 3600, "Wait before a failed task is tried again; it doubles with each failure, give or take a quarter."
    )
    retry_delay_max: float = declare.seconds(3600.0, 0, 7 * DAY, "Longest wait before a failed task is tried again.")
    keep_done: float = declare.seconds(DAY, 60, 365 * DAY, "How long tasks that went well can be looked up.")
    keep_dead: float = declare.seconds(
        30 * DAY, 60, 3650 * DAY, "How long dead and cancelled tasks are kept, to be looked up and retried."
    )
    keep_events: float = declare.seconds(
        7 * DAY, 60, 3650 * DAY, "How long events that were handed on stay in the outbox."
    )
    keep_processed: float = declare.seconds(
        60 * DAY, 60, 3650 * DAY, "How long it is remembered which events each subscriber has dealt with."
    )
