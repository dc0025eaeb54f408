"""A route with a limit, for tests that need more than one process."""

from __future__ import annotations

from quart import Blueprint

from app.feature import Feature
from app.web import HOUR, PUBLIC, Limit, endpoint

routes = Blueprint("limited", __name__)


@routes.get("/limited")
@endpoint(PUBLIC.but(limits=(Limit(20, HOUR),)))
async def limited() -> str:
    return "in"


feature = Feature("limited", (routes,))
