"""Who is there: people, their sessions, their tokens and the keys of their machines."""

from __future__ import annotations

from app.feature import Feature

from . import tables
from .authentication import authenticate, review
from .events import EVENTS
from .handlers import handlers, schedules
from .routes import blueprints
from .service.first_admin import first_sign_in

__all__ = ["feature", "tables"]

feature = Feature(
    name="identity",
    routes=blueprints,
    tasks=handlers,
    events=EVENTS,
    schedules=schedules,
    authenticate=authenticate,
    review=review,
    commands={
        "user": "app.features.identity.commands.user:user",
        "api-key": "app.features.identity.commands.api_key:api_key",
    },
    develop=first_sign_in,
)
