"""The document and its page, as a real server gives them; tests/e2e/test_docs_page.py looks with a browser."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys

import httpx
import pytest

from app.core.settings import PROJECT_ROOT
from app.features.documentation.assets import load_assets
from tests.harness.fixtures import StartApp

TYPES = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
    "page.css": "text/css; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
    "realtime-panel.js": "text/javascript; charset=utf-8",
}


@pytest.mark.engines
async def test_the_document_is_served_and_asked_for_again_costs_no_body(app_process: StartApp) -> None:
    http = (await app_process()).http

    first = await http.get("/openapi.json")
    again = await http.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    changed = await http.get("/openapi.json", headers={"If-None-Match": '"another"'})
    head = await http.head("/openapi.json")

    assert first.headers["content-type"] == "application/json"
    assert first.headers["cache-control"] == "no-cache"
    assert first.json()["openapi"] == "3.1.0"
    assert {"/openapi.json", "/health/ready", "/test/slow"} <= set(first.json()["paths"])
    assert (again.status_code, again.content) == (304, b"")
    assert (changed.status_code, changed.content) == (200, first.content)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(first.content)))


async def test_the_page_runs_no_inline_script_and_loads_only_from_here(app_process: StartApp) -> None:
    page = await (await app_process()).http.get("/docs")

    policy = page.headers["content-security-policy"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert not re.findall(r"<(?:script|style)>", page.text)
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page.text)


async def test_each_file_of_the_page_may_be_kept_for_ever(app_process: StartApp) -> None:
    http = (await app_process()).http
    page = (await http.get("/docs")).text

    wanted = re.findall(r'"(docs/([^"?]+)\?v=[0-9a-f]{12})"', page)
    answers = {name: await http.get(f"/{address}") for address, name in wanted}

    assert {name: answer.headers["content-type"] for name, answer in answers.items()} == TYPES
    for name, answer in answers.items():
        assert answer.content == load_assets()[name].content, name
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/docs/index.css",  # in the package, and not needed
        "/docs/page.html",
        "/docs/",
        "/docs/../routes.py",
        "/docs/..%2froutes.py",
        "/docs/%2e%2e/routes.py",
        "/docs/%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/docs//etc/passwd",
        "/docs/..%5croutes.py",
        "/docs/swagger-ui.css/..",
    ],
)
async def test_nothing_else_is_given(app_process: StartApp, path: str) -> None:
    app = await app_process()

    answer = await ask(app.http.base_url, path)

    assert answer.startswith(b"HTTP/1.1 404 "), answer[:300]


async def ask(url: httpx.URL, path: str) -> bytes:
    """As it stands: a client of HTTP would take the dots out."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def test_the_package_of_the_page_is_not_run() -> None:
    """It would make a Flask blueprint."""
    code = "import sys, app.bootstrap; sys.exit('flask_swagger_ui' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=False, timeout=60).returncode == 0
