"""While a service is down, the log has a line for each request that needs it, and not a page."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from urllib.parse import urlsplit

import pytest

from tests.harness.fixtures import StartApp
from tests.harness.proxy import open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

REQUESTS = 100
LONGEST = 600  # characters of a line; the traceback of one such error has 5,000


@pytest.mark.engines
@pytest.mark.fault
@pytest.mark.parametrize("service", ["database", "redis"])
async def test_a_request_in_an_outage_is_two_short_lines(
    app_process: StartApp, settings: TestSettings, service: str
) -> None:
    url = settings.environ[f"APP_{service.upper()}__URL"]
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    async with open_proxy(address.hostname, address.port) as proxy:
        app = await app_process(
            f"{service}.url={proxy.url(url)}",
            "database.sslmode=disable",
            "rate_limit.enabled=false",
            "redis.health_interval=300",  # a request is to notice, not a probe that comes just then
            "redis.timeout=30",  # nor a busy machine: who is cut off is told so at once
            module="tests.server.marked_routes",
        )
        assert (await app.http.get(f"/marked/one/services/{service}")).status_code == 200
        await eventually(lambda: app.events("request"), within=10)
        before = len(app.logs)

        proxy.cut()
        answers = await asyncio.gather(*(app.http.get(f"/marked/one/services/{service}") for _ in range(REQUESTS)))
        await eventually(lambda: len(app.events("request")) == REQUESTS + 1, within=20)

    lines = app.logs[before:]
    told = Counter(line["event"] for line in lines if "request_id" in line)
    assert [answer.status_code for answer in answers] == [503] * REQUESTS
    assert told == {"request": REQUESTS, "request_failed": REQUESTS} | (
        {"redis_unavailable": 1} if service == "redis" else {}
    )
    assert len(lines) < 2 * REQUESTS + 20
    assert max(len(json.dumps(line)) for line in lines) < LONGEST
    failed = [line for line in lines if line["event"] == "request_failed"]
    assert all(line["reason"] and "exception" not in line for line in failed)
    assert all(line["cause"] for line in failed) if service == "database" else any("cause" in line for line in failed)
