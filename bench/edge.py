"""What the HTTP edge costs: CPU microseconds per request, over a bare Quart route, layer by layer.

`make bench-edge`, or `python -m bench.edge [ROUNDS]`. One process calls the applications as a server would (ASGI, the
log written for real, but to nowhere; no socket), so that what differs is the edge and nothing else. The cost of a layer
is what the whole costs with it less what it costs without. Rounds are interleaved; the median of all is shown.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from unittest.mock import patch

from quart import Blueprint, Quart

import app.server.app
from app.core.lifecycle import Lifecycle
from app.core.settings import PROJECT_ROOT, Settings, load_settings
from app.core.telemetry import configure_logging, parse_levels
from app.feature import Feature
from app.server.engine import loop_factory
from app.web import PUBLIC, Application, endpoint

REQUESTS = 400  # of one measurement
NEEDED = {"RequestIds"}  # the others rely on what it notes, so it can't be left out
LIMIT = 80  # microseconds that the whole edge may cost
HEADERS = [
    (b"host", b"api.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"application/json"),
    (b"accept-language", b"en-GB,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"origin", b"https://app.example"),
    (b"authorization", b"Bearer 0123456789abcdef0123456789abcdef"),
    (b"connection", b"keep-alive"),
]
ANSWER = {"items": [1, 2, 3], "next_cursor": None}

Asgi = Callable[..., Coroutine[Any, Any, None]]


def bare() -> Quart:
    """What a Quart application costs that has one route and nothing else."""
    quart = Quart("bare", static_folder=None)

    @quart.get("/things/<int:number>")
    async def things(number: int) -> dict[str, Any]:
        return {**ANSWER, "number": number}

    return quart


def whole(settings: Settings) -> Application:
    """The application as `app serve` builds it, with the same route."""
    routes = Blueprint("bench", __name__)

    @routes.get("/things/<int:number>")
    @endpoint(PUBLIC)
    async def things(number: int) -> dict[str, Any]:
        return {**ANSWER, "number": number}

    return app.server.app.create_app(settings, [Feature("bench", (routes,))], lifecycle=Lifecycle())


def layers() -> list[str]:
    """The classes that `create_app` puts around the application, by the name it knows them by."""
    module = vars(app.server.app)
    return [
        name for name in sorted(module.keys() - NEEDED) if isinstance(module[name], type) and _is_layer(module[name])
    ]


def _is_layer(kind: type) -> bool:
    if not kind.__module__.startswith("app.web"):
        return False
    inner = inspect.signature(kind).parameters.get("app")
    return inner is not None and inner.annotation == "ASGIFramework"


def without_layer(settings: Settings, name: str) -> Application:
    """The whole application but for one layer."""
    with patch.object(app.server.app, name, lambda inner, **_options: inner):
        return whole(settings)


def without_gate(settings: Settings, index: int) -> Application:
    """The whole application but for one gate."""
    application = whole(settings)
    application.gates = tuple(gate for at, gate in enumerate(application.gates) if at != index)
    return application


def contestants(settings: Settings) -> dict[str, Asgi]:
    """Everything that is measured, by the name of what it lacks."""
    found: dict[str, Asgi] = {"bare": bare(), "whole": whole(settings)}
    found |= {name: without_layer(settings, name) for name in layers()}
    gates = [type(gate).__name__ for gate in whole(settings).gates]
    found |= {f"gate {name}": without_gate(settings, index) for index, name in enumerate(gates)}
    return found


async def call(application: Asgi) -> int:
    """One request; gives the status of its answer."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "method": "GET",
        "scheme": "http",
        "path": "/things/7",
        "raw_path": b"/things/7",
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "client": ("192.0.2.1", 4711),
        "server": ("127.0.0.1", 8000),
        "state": {},
        "extensions": {},
    }
    status = 0
    ended = asyncio.Event()
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in messages:
            return message
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(event: Any) -> None:  # noqa: ANN401  (an ASGI event)
        nonlocal status
        if event["type"] == "http.response.start":
            status = event["status"]

    # A server gives each request a task, and with it a context, of its own.
    await asyncio.create_task(application(scope, receive, send))
    return status


async def measure(application: Asgi) -> float:
    """CPU microseconds per request."""
    started = time.process_time()
    for _ in range(REQUESTS):
        if await call(application) != 200:
            raise RuntimeError("the route does not answer 200")
    return (time.process_time() - started) / REQUESTS * 1e6


async def compare(found: dict[str, Asgi], rounds: int) -> dict[str, float]:
    """The median of each contestant over all rounds; each round goes through them in another order."""
    figures: dict[str, list[float]] = {name: [] for name in found}
    for application in found.values():
        await measure(application)  # warm
    for number in range(rounds):
        names = list(found)
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            figures[name].append(await measure(found[name]))
    return {name: statistics.median(values) for name, values in figures.items()}


def report(medians: dict[str, float]) -> str:
    """One line for the whole, one for each part, dearest first."""
    edge = medians["whole"] - medians["bare"]
    parts = {name: medians["whole"] - median for name, median in medians.items() if name not in {"bare", "whole"}}
    parts["dispatch (deadline, policy, register) and RequestIds"] = edge - sum(parts.values())
    lines = [
        f"{'bare Quart route':<50} {medians['bare']:7.1f} us",
        f"{'the same behind the whole edge':<50} {medians['whole']:7.1f} us",
        f"{'the edge':<50} {edge:7.1f} us ({'within' if edge <= LIMIT else 'ABOVE'} its {LIMIT} us)",
        "",
        *(f"  {name:<48} {cost:7.1f} us" for name, cost in sorted(parts.items(), key=lambda part: -part[1])),
    ]
    return "\n".join(lines)


def bench_settings(folder: Path, *overrides: str) -> Settings:
    """The settings as they are without any of this machine's own."""
    (folder / "settings.toml").symlink_to(PROJECT_ROOT / "settings.toml")
    environ = {"APP_ENV": "testing", "APP_DATABASE__PASSWORD": "none"}
    return load_settings(root=folder, environ=environ, overrides=overrides, secrets_folder=folder)


def main() -> None:
    """Print the report."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        settings = bench_settings(Path(folder), "server.cors_origins=https://app.example")
        configure_logging(parse_levels("info"), json=True, stream=nowhere)
        with asyncio.Runner(loop_factory=loop_factory("auto")) as runner:
            medians = runner.run(compare(contestants(settings), rounds))
    print(report(medians))  # noqa: T201  (a program's output)


if __name__ == "__main__":
    main()
