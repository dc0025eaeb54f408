"""`/api/v1/auth`: Registering, signing in and out, and who one is."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("auth", __name__, url_prefix="/api/v1/auth")
