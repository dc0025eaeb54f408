"""Answers that are always the same: at once where nothing else is asked, and with the whole edge around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from quart import Blueprint, Response
from structlog.testing import capture_logs

from app.core.lifecycle import Lifecycle, Phase
from app.core.metrics import Metrics
from app.feature import Feature
from app.server import create_app
from app.web import PROBE, Application, PromptAnswer, endpoint
from tests.harness.settings import make_settings

ALWAYS = PromptAnswer("/always", b"prompt", ((b"content-type", b"text/plain"),))
CALLS: tuple[dict[str, Any], ...] = (
    {"method": "HEAD"},
    {"method": "POST"},
    {"method": "GET", "headers": {"Content-Length": "0"}},
    {"method": "GET", "headers": {"Transfer-Encoding": "chunked"}},
)


@pytest.fixture
def lifecycle() -> Lifecycle:
    return Lifecycle()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(tmp_path: Path, lifecycle: Lifecycle, metrics: Metrics) -> Application:
    """One answer of each kind at one address, so that it shows who gave it."""
    routes = Blueprint("tested", __name__)

    @routes.route("/always", methods=["GET", "POST"])
    @endpoint(PROBE.but(body=100))
    async def always() -> Response:
        return Response("routed", headers={"X-Given-By": "the route"})

    settings = make_settings(tmp_path, database_url="postgresql://none:none@127.0.0.1:1/none", redis_url="redis://none")
    feature = Feature("tested", (routes,), prompt=(ALWAYS,))
    return create_app(settings(), [feature], lifecycle=lifecycle, metrics=metrics)


async def test_it_comes_with_the_edge_around_it(app: Application, metrics: Metrics) -> None:
    with capture_logs() as logs:
        answer = await app.test_client().get("/always?whatever=1")

    assert (answer.status_code, await answer.get_data()) == (200, b"prompt")
    assert answer.headers["Content-Length"] == "6"
    assert answer.headers["X-Request-Id"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not logs
    text, _ = metrics.exposition("")
    assert b'plinth_http_requests_total{method="GET",route="/always",status="200"} 1.0' in text


@pytest.mark.parametrize("call", CALLS, ids=str)
async def test_what_is_out_of_the_ordinary_is_the_routes(app: Application, call: dict[str, Any]) -> None:
    answer = await app.test_client().open("/always", **call)

    assert answer.status_code == 200
    assert answer.headers["X-Given-By"] == "the route"


async def test_a_process_that_drains_tells_its_clients_to_go(app: Application, lifecycle: Lifecycle) -> None:
    lifecycle.phase = Phase.DRAINING

    answer = await app.test_client().get("/always")

    assert answer.headers["Connection"] == "close"
    assert answer.headers["X-Given-By"] == "the route"


async def test_a_head_that_is_refused_is_refused_here_too(app: Application) -> None:
    answer = await app.test_client().get("/always", headers={"Host": "no host!"})

    assert answer.status_code == 400
