"""What a feature declares for the worker: who does which task, who hears of which event, and what comes on time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from cronsim import CronSim, CronSimError

from app.core.queue import Event, Priority, Task
from app.core.queue.declared import check_running
from app.tasks.work import Delivery, Work

P = TypeVar("P")
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Handler(Generic[P]):
    """`run` does `task`. It holds no transaction of the queue's, and is cancelled after `task.timeout` seconds."""

    task: Task[P]
    run: Callable[[Work[P]], Awaitable[None]]


@dataclass(frozen=True)
class Subscriber(Generic[P]):
    """`run` is told of each `event`, as a task called `name`; those of one aggregate come one after another, in order.

    The next one comes when this one has ended: done, or dead after its retries.
    """

    event: Event[P]
    name: str
    run: Callable[[Delivery[P]], Awaitable[None]]
    timeout: float = 60.0
    retries: int = 10
    concurrency: int | None = None
    priority: Priority = Priority.NORMAL

    def __post_init__(self) -> None:
        check_running(self.name, self.timeout, self.retries, self.concurrency)


class Cron:
    """A cron expression of five fields (minute, hour, day, month, day of the week), in UTC; see crontab(5).

    Where day and day of the week are both given, one of them is enough; where one begins with `*`, both must fit.
    """

    def __init__(self, expression: str) -> None:
        """Raises `ValueError`, which says what is wrong with it."""
        self.expression = expression
        if len(expression.split()) != 5:
            raise ValueError(f"{expression!r} is no cron expression: five fields, as in '*/5 * * * *'")
        try:
            # Also what is well-formed but never comes. The rarest that does, 29 February on a given day of the week,
            # comes within 40 years, and 50 are looked through.
            next(CronSim(expression, datetime.now(UTC)))
        except CronSimError as error:
            raise ValueError(f"{expression!r} is no cron expression: {error}") from error
        except StopIteration:
            raise ValueError(f"{expression!r} never comes: no month has such a day") from None

    def next_after(self, moment: datetime) -> datetime:
        """The first tick later than `moment`, which has a zone."""
        return next(CronSim(self.expression, moment.astimezone(UTC)))

    def last_until(self, moment: datetime) -> datetime:
        """The last tick at or before `moment`, which has a zone."""
        minute = moment.astimezone(UTC).replace(second=0, microsecond=0)
        return next(CronSim(self.expression, minute + MINUTE, reverse=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cron) and self.expression == other.expression

    def __hash__(self) -> int:
        return hash(self.expression)

    def __repr__(self) -> str:
        return f"Cron({self.expression!r})"


@dataclass(frozen=True)
class Schedule(Generic[P]):
    """Enqueues `task` with `payload` at each tick, once, whatever the number of workers.

    While no worker runs, ticks pass; the last of them is made up for when one starts.
    """

    name: str
    cron: Cron
    task: Task[P]
    payload: P

    def __post_init__(self) -> None:
        self.task.encode(self.payload)  # now, not at the first tick
