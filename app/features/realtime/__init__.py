"""Realtime: `/ws`, through which pages and programs hear what is pushed, and the tickets that open it."""

from app.feature import Feature
from app.features.realtime import tickets
from app.features.realtime.sockets import routes

feature = Feature(name="realtime", routes=(routes, tickets.blueprint))

__all__ = ["feature"]
