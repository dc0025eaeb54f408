"""`/metrics`, for the networks in `telemetry.networks`."""

from __future__ import annotations

from quart import Blueprint, Response, request

from app.web import SCRAPE, endpoint, resources

routes = Blueprint("metrics", __name__)


@routes.get("/metrics")
@endpoint(SCRAPE)
async def scrape() -> Response:
    """Tell the numbers of this process, as text for Prometheus or as OpenMetrics."""
    body, content_type = resources().metrics.exposition(request.headers.get("Accept", ""))
    response = Response(body, content_type=content_type)
    response.headers["Cache-Control"] = "no-store"
    return response
