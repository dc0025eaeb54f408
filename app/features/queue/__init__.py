"""Tasks and events as their operators meet them, and the housekeeping of what has ended."""

from app.feature import Feature

feature = Feature(name="queue")

__all__ = ["feature"]
