"""Routes that break their own declarations, each in one way, to show that this is found."""

from __future__ import annotations

from dataclasses import dataclass

from quart import Blueprint, Response

from app.feature import Feature
from app.web import PUBLIC, endpoint

routes = Blueprint("broken", __name__, url_prefix="/broken")


@dataclass(frozen=True)
class Number:
    """A number."""

    number: int


@routes.get("/crash")
@endpoint(PUBLIC, answers={200: Number})
async def crash(query: Number) -> Number:
    """Crash on some input only."""
    if query.number < 0:
        raise RuntimeError("a crash on purpose")
    return query


@routes.get("/status")
@endpoint(PUBLIC, answers={200: Number})
async def status() -> tuple[Number, int]:
    """Answer with a status that is not declared."""
    return Number(1), 202


@routes.get("/type")
@endpoint(PUBLIC, answers={200: Number})
async def content_type() -> Response:
    """Answer in another type than declared."""
    return Response("<p>1</p>", content_type="text/html")


@routes.get("/body")
@endpoint(PUBLIC, answers={200: Number})
async def body() -> dict[str, str]:
    """Answer JSON of another shape than declared."""
    return {"number": "one"}


@routes.post("/code")
@endpoint(PUBLIC, answers={200: Number})
async def code() -> tuple[dict[str, str], int]:
    """Refuse with an error of another code than the catalogue has for the status."""
    return {"error": "No.", "code": "NO"}, 409


@routes.post("/fine")
@endpoint(PUBLIC, answers={200: None})
async def fine(body: Number) -> Response:
    """Keep the declaration: nothing may be found here."""
    return Response(str(body.number))


feature = Feature(name="broken", routes=(routes,))
