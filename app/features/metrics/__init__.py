"""Metrics: what a Prometheus scrapes."""

from app.feature import Feature
from app.features.metrics.routes import routes

feature = Feature(name="metrics", routes=(routes,), operations=True)

__all__ = ["feature"]
