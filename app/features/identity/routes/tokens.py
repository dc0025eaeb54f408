"""`/api/v1/auth/token`: Tokens for programs."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("tokens", __name__, url_prefix="/api/v1/auth/token")
