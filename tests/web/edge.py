"""The edge of the real application around routes that a test adds."""

from __future__ import annotations

from pathlib import Path

from quart import Blueprint

from app.core.lifecycle import Lifecycle
from app.feature import Feature
from app.server import create_app
from app.web import Application
from tests.harness.settings import make_settings


def edge_of(root: Path, routes: Blueprint, *overrides: str) -> Application:
    """The application as `app serve` builds it, with these routes as its only feature; no service is opened."""
    settings = make_settings(root, database_url="postgresql://none:none@127.0.0.1:1/none", redis_url="redis://none/0")
    return create_app(settings(*overrides), [Feature("tested", (routes,))], lifecycle=Lifecycle())
