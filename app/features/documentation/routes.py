"""The description of this API for programs, and the page for people."""

from __future__ import annotations

from importlib.resources import files
from typing import cast

from quart import Blueprint, Response, current_app, request

from app.core.errors import NotFound
from app.core.json import dumps
from app.features.documentation.assets import load_assets, with_versions
from app.web import PAGE, Application, endpoint, page_policy, resources
from app.web.openapi import openapi_document

routes = Blueprint("documentation", __name__)

ASSETS = load_assets()
HTML = with_versions(files(__package__).joinpath("page.html").read_text(encoding="utf-8"), ASSETS)
POLICY = page_policy(HTML)
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
        app.extensions[DOCUMENT] = dumps(openapi_document(app, resources().settings))
    return cast(bytes, app.extensions[DOCUMENT])


@routes.get("/docs")
@endpoint(PAGE, answers={200: "text/html"})
async def page() -> Response:
    """Show the document to a person, who may try each address."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": EACH_TIME}
    return Response(HTML, content_type="text/html; charset=utf-8", headers=headers)


@routes.get("/docs/<name>")
@endpoint(PAGE, answers={200: None})
async def asset(name: str) -> Response:
    """Give a file of the page: its name is looked up, and never becomes a path."""
    found = ASSETS.get(name)
    if found is None:
        raise NotFound
    return Response(found.content, content_type=found.content_type, headers={"Cache-Control": FOR_EVER})
