"""Section `telemetry`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from app.core.settings import Settings
from app.features import metrics, welcome
from tests.effects.case import Trial, Values, shows
from tests.effects.starting import serving
from tests.harness.ports import kept_ports
from tests.harness.settings import TestSettings
from tests.server.collector import collecting

ANY_PORT = "server.port=0"
# Of a caller that traces: whatever the sample, its request is.
TRACED = {"Traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


def no_collector_and_two(_: TestSettings) -> Values:
    return {"": None, **{f"http://127.0.0.1:{port}": port for port in kept_ports(2)}}


@shows("telemetry.otlp_endpoint", no_collector_and_two)
async def the_collector_that_gets_a_request(trial: Trial) -> int | None:
    port = urlsplit(trial.value).port
    async with collecting(port or 0) as collector:
        async with _asking(trial.settings(ANY_PORT)) as client:
            await client.get("/web/login")
        return port if collector.requests() else None


@shows("telemetry.sample", {"0": 1, "1": 11})
async def as_many_requests_are_traced(trial: Trial) -> int:
    async with collecting() as collector:
        async with _asking(trial.settings(ANY_PORT, f"telemetry.otlp_endpoint={collector.url}")) as client:
            await asyncio.gather(*(client.get("/web/login") for _ in range(10)))
            await client.get("/web/login", headers=TRACED)
        return len(collector.requests())


@shows("telemetry.networks", {"127.0.0.0/8": 200, "10.0.0.0/8,192.168.0.0/16": 403})
async def a_scrape_from_this_machine_is_answered(trial: Trial) -> int:
    async with _asking(trial.settings(ANY_PORT)) as client:
        return (await client.get("/metrics")).status_code


@asynccontextmanager
async def _asking(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(settings, welcome.feature, metrics.feature) as served,
        httpx.AsyncClient(base_url=served.url) as client,
    ):
        yield client
