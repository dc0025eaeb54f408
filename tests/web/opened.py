"""The application as `app serve` builds it, with its services open, in the test's own event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core.lifecycle import Lifecycle
from app.core.resources import open_resources
from app.core.settings import Settings
from app.feature import Feature
from app.server import create_app
from app.web import Application


@asynccontextmanager
async def opened(settings: Settings, *features: Feature) -> AsyncIterator[Application]:
    """`serving(app)` puts it on a port."""
    lifecycle = Lifecycle()
    async with open_resources(settings, lifecycle) as resources:
        app = create_app(settings, features, lifecycle=lifecycle)
        app.resources = resources
        yield app
