"""`/api/v1/users`: Users, for administrators."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("users", __name__, url_prefix="/api/v1/users")
