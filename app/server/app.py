"""The application from its parts: every feature's routes, inside the edge."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.lifecycle import Lifecycle
from app.core.settings import Settings
from app.feature import Feature
from app.web.application import Application
from app.web.cors import Cors
from app.web.json import OrjsonProvider
from app.web.streaming import FairStreams


def create_app(settings: Settings, features: Sequence[Feature], *, lifecycle: Lifecycle) -> Application:
    """Mount every feature's routes; `resources` are set by whoever opens them, before serving."""
    app = Application("app", request_timeout=settings.server.request_timeout, lifecycle=lifecycle)
    app.json = OrjsonProvider(app)
    for feature in features:
        for blueprint in feature.routes:
            app.register_blueprint(blueprint)
    edge = Cors(FairStreams(app.asgi_app), origins=settings.server.cors_origins)
    app.asgi_app = edge  # type: ignore[method-assign]  # Quart's documented hook
    return app
