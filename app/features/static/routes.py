"""The address of each file: under a plain name it is asked for again, under its version it may be kept for ever."""

from __future__ import annotations

from pathlib import Path

from quart import Blueprint, Response, request

from app.core.errors import NotFound
from app.features.static.folder import read_folder
from app.web import PAGE, endpoint

routes = Blueprint("static_files", __name__, url_prefix="/static")

FILES = read_folder(Path(__file__).with_name("files"))
FOR_EVER = "public, max-age=31536000, immutable"
EACH_TIME = "no-cache"  # kept, but only used after asking whether it still holds


def versioned(name: str) -> str:
    """The address of a file for a page, which changes with its content.

    Raises `KeyError` for a file that is not there.
    """
    return f"/static/{name}?v={FILES[name].version}"


@routes.get("/<path:name>", merge_slashes=False)
@endpoint(PAGE, answers={200: None, 304: None}, errors=(NotFound,))
async def file(name: str) -> Response:
    """Give a file: its name is looked up, and never becomes a path."""
    found = FILES.get(name)
    if found is None:
        raise NotFound
    # Another version is asked for by a page that is older or newer than this process: what it gets is not kept.
    keep = FOR_EVER if request.args.get("v") == found.version else EACH_TIME
    response = Response(found.content, content_type=found.content_type, headers={"Cache-Control": keep})
    response.set_etag(found.version)
    return await response.make_conditional(request)
