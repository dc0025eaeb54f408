"""The three health addresses. None of them touches a service: probes did, in their own time."""

from __future__ import annotations

from typing import Any

import orjson
from quart import Blueprint, Response, current_app

from app.core.version import VERSION
from app.features.health.checks import CHECKS, OPTIONAL, worker
from app.tasks.worker import WORKER
from app.web import PROBE, PromptAnswer, endpoint, resources

routes = Blueprint("health", __name__, url_prefix="/health")

JSON = "application/json"
LIVE = PromptAnswer(
    "/health/live", b'{"status":"ok"}', ((b"content-type", JSON.encode()), (b"cache-control", b"no-store"))
)


@routes.get("")
@endpoint(PROBE, answers={200: JSON, 503: JSON})
async def overview() -> Response:
    """Say to a person which part is down; 503 while any is."""
    database, redis = resources().database_probe.result, resources().redis_probe.result
    healthy = database.ok and redis.ok
    body = {
        "status": "healthy" if healthy else "unhealthy",
        "database": "connected" if database.ok else "disconnected",
        "redis": "connected" if redis.ok else "disconnected",
        "timestamp": resources().clock.now().isoformat(),
        "version": VERSION,
    }
    return _json(body, 200 if healthy else 503)


@routes.get("/live")
@endpoint(PROBE, answers={200: JSON})
async def live() -> Response:
    """Answer as long as the event loop turns; a restart would mend nothing else."""
    return _answer(LIVE.body, 200)


@routes.get("/ready")
@endpoint(PROBE, answers={200: JSON, 503: JSON})
async def ready() -> Response:
    """Tell the balancer whether to send work here, with the reason for each check that fails."""
    reasons = {name: check(resources()) for name, check in CHECKS.items()}
    if here := current_app.extensions.get(WORKER):
        reasons["worker"] = worker(here)
    failed = {name for name, reason in reasons.items() if reason is not None}
    status = "not ready" if failed - OPTIONAL else "degraded" if failed else "ready"
    body = {"status": status, "checks": {name: _check(reason) for name, reason in reasons.items()}}
    return _json(body, 503 if status == "not ready" else 200)


def _check(reason: str | None) -> dict[str, Any]:
    return {"ok": True} if reason is None else {"ok": False, "reason": reason}


def _json(body: object, status: int) -> Response:
    return _answer(orjson.dumps(body), status)


def _answer(body: bytes, status: int) -> Response:
    response = Response(body, status, content_type=JSON)
    response.headers["Cache-Control"] = "no-store"
    return response
