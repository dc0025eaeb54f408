"""The description of this API for programs, and the page for people."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import cast

from quart import Blueprint, Response, current_app, request

from app.core.errors import NotFound
from app.core.json import dumps
from app.features.documentation.assets import Asset, load_assets, with_versions
from app.web import PAGE, Application, endpoint, page_policy, resources

routes = Blueprint("documentation", __name__)

JSON = "application/json"
FOR_EVER = "public, max-age=31536000, immutable"
EACH_TIME = "no-cache"  # kept, but only used after asking whether it still holds

DOCUMENT = "documentation.document"


@routes.get("/openapi.json")
@endpoint(PAGE, answers={200: JSON, 304: None})
async def document() -> Response:
    """Describe every address in OpenAPI 3.1.

    Built once, from the declarations that requests are held to.
    """
    response = Response(_document(), content_type=JSON, headers={"Cache-Control": EACH_TIME})
    await response.add_etag()
    return await response.make_conditional(request)


def _document() -> bytes:
    """Kept by the application: its routes and settings do not change while it serves."""
    app = cast(Application, current_app)
    if DOCUMENT not in app.extensions:
        from app.web.openapi import openapi_document  # noqa: PLC0415  (10 ms of the many that the document takes)

        app.extensions[DOCUMENT] = dumps(openapi_document(app, resources().settings))
    return cast(bytes, app.extensions[DOCUMENT])


@cache
def _assets() -> dict[str, Asset]:
    """Two megabytes, for a process whose page somebody looks at."""
    return load_assets()


@cache
def _page() -> tuple[str, str]:
    """The page and its policy."""
    html = with_versions(files(__package__).joinpath("page.html").read_text(encoding="utf-8"), _assets())
    return html, page_policy(html)


@routes.get("/docs")
@endpoint(PAGE, answers={200: "text/html"})
async def page() -> Response:
    """Show the document to a person, who may try each address."""
    html, policy = _page()
    headers = {"Content-Security-Policy": policy, "Cache-Control": EACH_TIME}
    return Response(html, content_type="text/html; charset=utf-8", headers=headers)


@routes.get("/docs/<name>")
@endpoint(PAGE, answers={200: None})
async def asset(name: str) -> Response:
    """Give a file of the page: its name is looked up, and never becomes a path."""
    found = _assets().get(name)
    if found is None:
        raise NotFound
    return Response(found.content, content_type=found.content_type, headers={"Cache-Control": FOR_EVER})
