"""`/api/v1/sessions`: The sessions of whoever calls."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("sessions", __name__, url_prefix="/api/v1/sessions")
