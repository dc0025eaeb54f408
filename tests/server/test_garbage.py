"""The collector of cyclic garbage stands in nobody's way: it is asked seldom, and not about what a start has made."""

from __future__ import annotations

import re

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp

REQUESTS = 500
MOST = 2  # looks in that time; with the thresholds of Python 3.11 there are seven


@pytest.mark.engines
async def test_requests_make_python_look_for_garbage_seldom(app_process: StartApp) -> None:
    app = await app_process(cold=True)
    before = await looks(app)

    for _ in range(REQUESTS):
        await app.http.get("/health/live")

    assert await looks(app) - before <= MOST


async def looks(app: AppProcess) -> int:
    """How often the collector has run, at whatever it looked."""
    text = (await app.http.get("/metrics")).text
    return sum(
        int(float(count)) for count in re.findall(r"^python_gc_collections_total\{.*\} (\S+)$", text, re.MULTILINE)
    )
