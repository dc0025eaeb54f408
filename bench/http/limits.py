"""Whether Plinth's limit was counted: where Redis is late, a request passes without, and a timed one would be cheap."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families

FAMILY = "plinth_rate_limit_decisions"
TOLERATED = 0.01  # of all requests: the first ones of a turn all open their connection to Redis at once


def uncounted(exposition: str) -> float:
    """The share of requests that nobody counted, all of them where there was no limit."""
    decisions = {
        (sample.labels["route"], sample.labels["outcome"]): sample.value
        for family in text_string_to_metric_families(exposition)
        if family.name == FAMILY
        for sample in family.samples
        if sample.name.endswith("_total")
    }
    total = sum(decisions.values())
    lost = sum(value for (_, outcome), value in decisions.items() if outcome == "unavailable")
    return lost / total if total else 1.0


async def uncounted_by(url: str) -> float:
    async with httpx.AsyncClient() as client:
        return uncounted((await client.get(f"{url}/metrics")).text)
