"""The files behind the page: Swagger UI from its package, and the few lines that start it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from importlib.machinery import PathFinder
from importlib.resources import files
from importlib.resources.abc import Traversable
from importlib.util import module_from_spec

from app.features.static import versioned

PACKAGE = "flask_swagger_ui"
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "png": "image/png"}

# All that a browser is given; the package has more.
FROM_SWAGGER = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")
# The client of the WebSockets, as the page names it.
CLIENT = "static/realtime.js"
OURS = ("page.css", "start.js", "realtime-panel.js")


@dataclass(frozen=True)
class Asset:
    """One file, whole in memory; `version` changes with its content, so a browser may keep it for ever."""

    name: str
    content: bytes
    content_type: str
    version: str


def load_assets() -> dict[str, Asset]:
    """Every file that is served, by its name."""
    swagger, ours = _swagger(), files(__package__)
    found = [*((swagger / name) for name in FROM_SWAGGER), *((ours / name) for name in OURS)]
    return {file.name: _asset(file) for file in found}


def _swagger() -> Traversable:
    """The folder of Swagger UI; its package is found without being run, as that would ask for a Flask application."""
    spec = PathFinder.find_spec(PACKAGE)
    if spec is None:
        raise ModuleNotFoundError(f"{PACKAGE} is not installed", name=PACKAGE)
    return files(module_from_spec(spec)) / "dist"


def _asset(file: Traversable) -> Asset:
    content = file.read_bytes()
    kind = TYPES[file.name.rpartition(".")[2]]
    return Asset(file.name, content, kind, sha256(content).hexdigest()[:12])


def with_versions(html: str, assets: dict[str, Asset]) -> str:
    """The page with the version of each file behind its name."""
    for asset in assets.values():
        html = html.replace(f'"docs/{asset.name}"', f'"docs/{asset.name}?v={asset.version}"')
    # The page's addresses are relative, so that it works behind a proxy that adds a path.
    return html.replace(f'"{CLIENT}"', f'"{versioned("realtime.js").removeprefix("/")}"')
