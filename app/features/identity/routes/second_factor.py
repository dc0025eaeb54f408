"""`/api/v1/auth/second-factor`: The second factor of a sign-in."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("second_factor", __name__, url_prefix="/api/v1/auth/second-factor")
