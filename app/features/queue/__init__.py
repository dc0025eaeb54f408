"""Tasks and events as their operators meet them, and the housekeeping of what has ended."""

from app.feature import Feature
from app.features.queue.handlers import handlers, schedules
from app.features.queue.routes import routes

feature = Feature(name="queue", routes=(routes,), tasks=handlers, schedules=schedules)

__all__ = ["feature"]
