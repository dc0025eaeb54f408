"""`/api/v1/auth/password`: Changing a password, and choosing a new one when it is forgotten."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("passwords", __name__, url_prefix="/api/v1/auth/password")
