"""Doing what was asked for: the runner of tasks, the relay of events, schedules, and what operators see of them."""

from app.tasks.declared import Cron, Handler, Schedule, Subscriber
from app.tasks.outcomes import Discard, LeaseLost, RetryLater
from app.tasks.registry import Registry, WrongTasks
from app.tasks.work import Delivery, Work

__all__ = [
    "Cron",
    "Delivery",
    "Discard",
    "Handler",
    "LeaseLost",
    "Registry",
    "RetryLater",
    "Schedule",
    "Subscriber",
    "Work",
    "WrongTasks",
]
