"""Everything that the features declare for the worker, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.core.queue import Event, Priority
from app.tasks.declared import Handler, Schedule, Subscriber

REGISTRY = "tasks"  # under this name an application keeps the one of its features


class WrongTasks(ValueError):
    """What the features declare does not fit together; the message says what."""


@dataclass(frozen=True)
class Runnable:
    """One type of task, as the runner needs it; for a subscriber, the task that delivers its event."""

    name: str
    timeout: float
    concurrency: int | None
    declared: Handler[Any] | Subscriber[Any]


class Registry:
    """Task types, subscribers, events and schedules of all features."""

    def __init__(
        self,
        handlers: Iterable[Handler[Any]] = (),
        subscribers: Iterable[Subscriber[Any]] = (),
        events: Iterable[Event[Any]] = (),
        schedules: Iterable[Schedule[Any]] = (),
    ) -> None:
        """Raises `WrongTasks` for a name that is given twice, and for a schedule whose task nobody does."""
        self.runnables: dict[str, Runnable] = {}
        for handler in handlers:
            task = handler.task
            self._add(Runnable(task.name, task.timeout, task.concurrency, handler))
        self.subscribers = tuple(subscribers)
        for each in self.subscribers:
            self._add(Runnable(each.name, each.timeout, each.concurrency, each))
        self.events = _events([*events, *(each.event for each in self.subscribers)])
        self.schedules = tuple(schedules)
        self._check_schedules()

    def _add(self, runnable: Runnable) -> None:
        if runnable.name in self.runnables:
            raise WrongTasks(f"two features do the task {runnable.name!r}")
        self.runnables[runnable.name] = runnable

    def _check_schedules(self) -> None:
        names = [schedule.name for schedule in self.schedules]
        for schedule in self.schedules:
            if names.count(schedule.name) > 1:
                raise WrongTasks(f"there are two schedules with the name {schedule.name!r}")
            if schedule.task.name not in self.runnables:
                raise WrongTasks(f"the schedule {schedule.name!r} asks for {schedule.task.name!r}, which nobody does")

    @property
    def lanes(self) -> list[tuple[str, Priority]]:
        """What a claim looks at: each type at each priority, the higher ones first."""
        return [(name, priority) for priority in sorted(Priority, reverse=True) for name in self.runnables]


def _events(events: Iterable[Event[Any]]) -> dict[str, Event[Any]]:
    known: dict[str, Event[Any]] = {}
    for event in events:
        if known.setdefault(event.name, event) != event:
            raise WrongTasks(f"two different events have the name {event.name!r}")
    return known
