"""Who is there: people, their sessions, their tokens and the keys of their machines."""

from __future__ import annotations

from app.feature import Feature

from . import tables
from .handlers import handlers, schedules

__all__ = ["feature", "tables"]

feature = Feature(name="identity", tasks=handlers, schedules=schedules)
