"""Who is there: people, their sessions, their tokens and the keys of their machines."""

from __future__ import annotations

from app.feature import Feature

from . import tables
from .authentication import authenticate, review
from .events import EVENTS
from .handlers import handlers, schedules
from .routes import blueprints

__all__ = ["feature", "tables"]

feature = Feature(
    name="identity",
    routes=blueprints,
    tasks=handlers,
    events=EVENTS,
    schedules=schedules,
    authenticate=authenticate,
    review=review,
    commands={"api-key": "app.features.identity.commands.api_key:api_key"},
)
