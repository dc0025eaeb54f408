"""`/api/v1/api-keys`: The API keys of whoever calls."""

from __future__ import annotations

from quart import Blueprint

routes = Blueprint("api_keys", __name__, url_prefix="/api/v1/api-keys")
