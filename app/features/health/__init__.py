"""Health: what a balancer, an orchestrator and a person may ask, answered from cached probes."""

from app.feature import Feature
from app.features.health.routes import LIVE, routes

feature = Feature(name="health", routes=(routes,), prompt=(LIVE,), operations=True)

__all__ = ["feature"]
