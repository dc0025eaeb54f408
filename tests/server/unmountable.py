"""A feature that cannot be mounted: its routes have the name of another's."""

from __future__ import annotations

from quart import Blueprint

from app.feature import Feature

feature = Feature(name="unmountable", routes=(Blueprint("health", __name__),))
