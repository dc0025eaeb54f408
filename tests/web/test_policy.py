"""A walk over the url map of the real application: every route says who may call it, and what it answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from quart import Blueprint

from app.bootstrap import FEATURES
from app.cli import cli
from app.core.lifecycle import Lifecycle
from app.core.settings import Settings
from app.feature import Feature
from app.server import create_app
from app.server.app import UndeclaredRoute
from app.web import Application, endpoint
from app.web.endpoint import declared
from app.web.policy import PROBE, PUBLIC
from app.web.url_map import routes_of
from tests.harness.settings import make_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Nothing is opened for a walk."""
    return make_settings(
        tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none", redis_url="redis://127.0.0.1:1"
    )()


@pytest.fixture
def walked(settings: Settings) -> Application:
    return create_app(settings, FEATURES, lifecycle=Lifecycle())


def silent(app: Application) -> list[str]:
    """The routes that leave something out of their declaration."""
    found = []
    for rule in app.url_map.iter_rules():
        endpoint = declared(app.view_functions[rule.endpoint])
        if endpoint is None or not endpoint.description or not endpoint.answers:
            found.append(rule.rule)
    return found


def test_every_route_is_declared_explained_and_says_what_it_answers(walked: Application) -> None:
    assert len(list(walked.url_map.iter_rules())) > 5
    assert silent(walked) == []


def test_control_a_route_without_words_is_found(settings: Settings) -> None:
    routes = Blueprint("mute", __name__)

    @routes.get("/mute")
    @endpoint(PUBLIC)
    async def mute() -> str:
        return ""

    app = create_app(settings, (*FEATURES, Feature("mute", routes=(routes,))), lifecycle=Lifecycle())

    assert silent(app) == ["/mute"]


def test_an_application_with_an_undeclared_route_is_not_made(settings: Settings) -> None:
    routes = Blueprint("open", __name__)

    @routes.get("/open/<name>")
    async def forgotten(name: str) -> str:
        return name

    with pytest.raises(UndeclaredRoute, match="/open/<name>"):
        create_app(settings, (*FEATURES, Feature("open", routes=(routes,))), lifecycle=Lifecycle())


def test_probes_have_no_limits_and_are_not_counted(walked: Application, settings: Settings) -> None:
    found = {route.path: route for route in routes_of(walked, settings)}

    for path in ("/health", "/health/live", "/health/ready"):
        assert found[path].endpoint.policy == PROBE
        assert (found[path].in_force.limits, found[path].endpoint.policy.counted) == ((), False)


def test_app_routes_prints_each(walked: Application) -> None:
    printed = CliRunner().invoke(cli, ["routes"]).output.splitlines()

    paths = {line.split()[0] for line in printed[1:]}
    assert paths == {rule.rule for rule in walked.url_map.iter_rules()}
