"""The application from its parts: every feature's routes, inside the edge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.core.lifecycle import Lifecycle
from app.core.metrics import Metrics
from app.core.settings import Settings
from app.feature import Feature, registry_of
from app.sockets import Topics
from app.sockets.hub import TOPICS
from app.tasks.registry import REGISTRY
from app.web.access import AccessLog
from app.web.admission import Admission
from app.web.application import Application
from app.web.audience import Audiences
from app.web.body import BodyLimits
from app.web.callers import Authenticator, Reviewer
from app.web.cors import Cors
from app.web.endpoint import declared
from app.web.heads import HeadLimits
from app.web.idempotency import Idempotency
from app.web.in_flight import InFlight
from app.web.json import OrjsonProvider
from app.web.origins import Origins
from app.web.prompt import PromptAnswers
from app.web.proxies import TrustedProxies
from app.web.rate_limits import RateLimits
from app.web.recovery import Recovery
from app.web.request_ids import RequestIds
from app.web.security_headers import SecurityHeaders
from app.web.streaming import FairStreams
from app.web.tracing import traced

if TYPE_CHECKING:  # imported where traces are on, and nowhere else
    from app.core.tracing.tracing import Tracing


class UndeclaredRoute(Exception):
    """A route says nothing of who may call it: put `@endpoint(POLICY)` below its address."""


class TwoAuthenticators(Exception):
    """Only one feature may say who calls: two could take the same credentials for two callers."""


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
    Raises `UndeclaredRoute`, naming every route without a policy, `TwoAuthenticators`, `WrongTopics` and `WrongTasks`.
    """
    server, metrics = settings.server, metrics or Metrics()
    app = Application("app", request_timeout=server.request_timeout, lifecycle=lifecycle)
    app.json = OrjsonProvider(app)
    for feature in features:
        for blueprint in feature.routes:
            app.register_blueprint(blueprint)
    _refuse_undeclared(app)
    app.extensions[TOPICS] = Topics((feature.name, topic) for feature in features for topic in feature.topics)
    app.extensions[REGISTRY] = registry_of(features)
    answers = [answer for feature in features for answer in feature.prompt]
    prompt = PromptAnswers(FairStreams(app.asgi_app), answers=answers, lifecycle=lifecycle)
    # The edge, from the outside in: what a request meets before its route is known ...
    edge = RequestIds(
        TrustedProxies(
            traced(
                AccessLog(
                    Recovery(
                        SecurityHeaders(
                            Cors(
                                # Here once more, so that its answers have the headers of these two.
                                Recovery(HeadLimits(prompt)),
                                origins=server.cors_origins,
                            ),
                        ),
                    ),
                    observer=metrics.http,
                    sockets=metrics.sockets,
                ),
                tracing,
            ),
            networks=server.trusted_proxies,
        ),
    )
    # ... and after, when its policy is.
    who_and_how_often = RateLimits(
        settings.rate_limit,
        inside=Audiences(
            _authenticator(features),
            review=reviewer_of(features),
            operations=settings.telemetry.networks,
            anonymous=settings.websocket.anonymous,
        ),
        observer=metrics.rate_limits,
    )
    app.gates = (
        InFlight(app.requests, limit=server.max_in_flight),
        BodyLimits(limit=server.body_limit, timeout=server.body_timeout),
        who_and_how_often,
    )
    app.around = Idempotency()
    app.admission = Admission(
        settings.websocket,
        origins=Origins(server.cors_origins),
        gate=who_and_how_often,
        timeout=server.request_timeout,
    )
    app.asgi_app = edge  # type: ignore[method-assign]  # Quart's documented hook
    return app


def _authenticator(features: Sequence[Feature]) -> Authenticator | None:
    found = [feature for feature in features if feature.authenticate]
    if len(found) > 1:
        names = " and ".join(feature.name for feature in found)
        raise TwoAuthenticators(f"{TwoAuthenticators.__doc__} Here {names} do.")
    return found[0].authenticate if found else None


def reviewer_of(features: Sequence[Feature]) -> Reviewer | None:
    """What says whether credentials still hold."""
    return next((feature.review for feature in features if feature.review), None)


def _refuse_undeclared(app: Application) -> None:
    undeclared = sorted(
        rule.rule for rule in app.url_map.iter_rules() if declared(app.view_functions[rule.endpoint]) is None
    )
    if undeclared:
        raise UndeclaredRoute(f"{UndeclaredRoute.__doc__} It is missing at {', '.join(undeclared)}.")
