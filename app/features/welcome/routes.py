"""`/` and the page behind it: proof for a newcomer that all parts answer, and where to go next."""

from __future__ import annotations

from importlib.resources import files

from quart import Blueprint, Response, redirect
from quart.typing import ResponseReturnValue

from app.web import PAGE, endpoint, page_policy

routes = Blueprint("welcome", __name__)

HTML = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
POLICY = page_policy(HTML)


@routes.get("/")
@endpoint(PAGE, answers={302: None})
async def root() -> ResponseReturnValue:
    """Send a browser to the sign-in page: nobody is signed in as long as no feature signs people in."""
    return redirect("/web/login", 302)


@routes.get("/web/login")
@endpoint(PAGE, answers={200: "text/html"})
async def login() -> Response:
    """Show that the service runs, from its own readiness."""
    return Response(HTML, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})
