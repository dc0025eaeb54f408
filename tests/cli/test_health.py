"""`app health`: the image's health check, and a person's quick question."""

from __future__ import annotations

import asyncio
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from app.core.settings import PROJECT_ROOT
from tests.harness.fixtures import StartApp

Answer = tuple[int, str, str]


async def _ask(*arguments: str, **env: str) -> Answer:
    """Exit code, standard output and error of `app health ...` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "health", *arguments),
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_ready_server_is_0(app_process: StartApp) -> None:
    app = await app_process()

    assert await _ask("--url", app.url) == (0, f"{app.url}/health/ready: ready\n", "")
    assert await _ask("--url", app.url, "--live") == (0, f"{app.url}/health/live: ok\n", "")


async def test_it_asks_where_the_settings_say_and_through_no_proxy(app_process: StartApp) -> None:
    app = await app_process()
    port = app.url.rpartition(":")[2]

    code, out, _ = await _ask(APP_SERVER__PORT=port, APP_SERVER__HOST="0.0.0.0", http_proxy="http://127.0.0.1:1")

    assert (code, out) == (0, f"http://127.0.0.1:{port}/health/ready: ready\n")


async def test_what_is_missing_is_named(app_process: StartApp) -> None:
    app = await app_process("redis.url=redis://127.0.0.1:1/0")

    code, out, _ = await _ask("--url", app.url)

    assert code == 0, "Redis does not decide readiness"
    assert out.startswith(f"{app.url}/health/ready: degraded (redis: ")


async def test_nobody_there_is_1_and_named() -> None:
    code, out, err = await _ask("--url", "http://127.0.0.1:1")

    assert (code, out) == (1, "")
    assert err == "http://127.0.0.1:1/health/ready: no answer ([Errno 111] Connection refused)\n"


class Foreign(BaseHTTPRequestHandler):
    """Some other program on the port."""

    def do_GET(self) -> None:
        self.send_response(503 if self.path.startswith("/refusing") else 200)
        self.end_headers()
        self.wfile.write(b"<html>It works!</html>")

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("path", ["", "/refusing"])
async def test_another_program_on_the_port_is_not_health(path: str) -> None:
    with HTTPServer(("127.0.0.1", 0), Foreign) as server:
        Thread(target=server.serve_forever, daemon=True).start()

        code, out, err = await _ask("--url", f"http://127.0.0.1:{server.server_port}{path}")
        server.shutdown()

    assert (code, out) == (1, "")
    assert err.endswith("an answer that is not Plinth's\n")


async def test_an_address_that_is_none_is_told() -> None:
    code, _, err = await _ask("--url", "no-url")

    assert code == 1
    assert err.startswith("no-url/health/ready: no answer (unknown url type")
