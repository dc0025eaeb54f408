"""One task in this worker's hands, from its claim to its end, and what may become of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from app.tasks.registry import Runnable
from app.tasks.store import Claimed

# Of what is kept with a task, the part that is for traces and not for the log.
TRACE = ("traceparent", "tracestate")


class End(StrEnum):
    """How a run ended; the names are those of the metrics."""

    DONE = "done"
    RETRY = "retry"
    LATER = "later"
    DEAD = "dead"
    RELEASED = "released"
    LOST = "lost"


class Cause(StrEnum):
    """Why a run was cancelled by the runner; a cancellation without a cause comes from the handler itself."""

    TIMEOUT = "timeout"
    LOST = "lost"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be stored: `delay` in seconds, for those that run again."""

    end: End
    delay: float | None = None
    error: str | None = None


DONE, LOST, RELEASED = Outcome(End.DONE), Outcome(End.LOST), Outcome(End.RELEASED)


class Run:
    """`until` is when the lease ends, by this process's monotonic clock; past it the task may be somebody else's.

    `ends_itself` says that the handler has ended the task inside a transaction of its own, `ended_itself` that this
    is known to be committed.
    """

    __slots__ = (
        "began",
        "cause",
        "claimed",
        "ended_itself",
        "ends_itself",
        "id",
        "is_over",
        "runnable",
        "taken",
        "task",
        "timer",
        "took",
        "trace_id",
        "until",
    )

    def __init__(self, claimed: Claimed, runnable: Runnable, *, taken: float, until: float) -> None:
        self.claimed = claimed
        self.id: UUID = claimed.id
        self.runnable = runnable
        self.taken = taken
        self.until = until
        self.began = 0.0
        self.took = 0.0
        self.cause: Cause | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.trace_id: str | None = None  # where runs are traced
        self.is_over = False
        self.ends_itself = False
        self.ended_itself = False

    @property
    def attempt(self) -> int:
        return self.claimed.retry_count + self.claimed.crash_count + 1

    @property
    def about(self) -> dict[str, object]:
        """For the log: the run, and the request that asked for it."""
        kept = {name: value for name, value in self.claimed.context.items() if name not in TRACE}
        traced = {"trace_id": self.trace_id} if self.trace_id else {}
        about = {"task_id": str(self.id), "task_type": self.claimed.task_type, "attempt": self.attempt}
        return {**kept, **traced, **about}
