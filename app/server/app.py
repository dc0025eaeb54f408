"""The application from its parts: every feature's routes, inside the edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.core.lifecycle import Lifecycle
from app.core.metrics import Metrics
from app.core.settings import Settings
from app.feature import Feature
from app.web.application import Application
from app.web.audience import Audiences
from app.web.cors import Cors
from app.web.endpoint import declared
from app.web.json import OrjsonProvider
from app.web.proxies import TrustedProxies
from app.web.request_ids import RequestIds
from app.web.security_headers import SecurityHeaders
from app.web.streaming import FairStreams
from app.web.tracing import traced

if TYPE_CHECKING:  # imported where traces are on, and nowhere else
    from app.core.tracing.tracing import Tracing


class UndeclaredRoute(Exception):
    """A route says nothing of who may call it: put `@endpoint(POLICY)` below its address."""


def create_app(
    settings: Settings,
    features: Sequence[Feature],
    *,
    lifecycle: Lifecycle,
    metrics: Metrics | None = None,
    tracing: Tracing | None = None,
) -> Application:
    """Mount every feature's routes inside the edge; `resources` are set by whoever opens them, before serving.

    `metrics` and `tracing` are theirs, too; an application that is built for its routes only needs neither.
    Raises `UndeclaredRoute`, naming every route without a policy.
    """
    server, metrics = settings.server, metrics or Metrics()
    app = Application("app", request_timeout=server.request_timeout, lifecycle=lifecycle)
    app.json = OrjsonProvider(app)
    for feature in features:
        for blueprint in feature.routes:
            app.register_blueprint(blueprint)
    _refuse_undeclared(app)
    # The edge, from the outside in: what a request meets before its route is known ...
    edge = RequestIds(
        TrustedProxies(
            traced(
                SecurityHeaders(
                    Cors(
                        FairStreams(app.asgi_app),
                        origins=server.cors_origins,
                    ),
                ),
                tracing,
            ),
            networks=server.trusted_proxies,
        ),
    )
    # ... and after, when its policy is.
    app.gates = (
        Audiences(
            next((feature.authenticate for feature in features if feature.authenticate), None),
            operations=settings.telemetry.networks,
        ),
    )
    app.asgi_app = edge  # type: ignore[method-assign]  # Quart's documented hook
    return app


def _refuse_undeclared(app: Application) -> None:
    undeclared = sorted(
        rule.rule for rule in app.url_map.iter_rules() if declared(app.view_functions[rule.endpoint]) is None
    )
    if undeclared:
        raise UndeclaredRoute(f"{UndeclaredRoute.__doc__} It is missing at {', '.join(undeclared)}.")
