"""What the probes said last, told when a scraper comes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.core.probe import Probe


class ProbeCollector(Collector):
    """The last result of each probe, as families."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = tuple(probes)

    def collect(self) -> Iterator[Metric]:
        up = _family("plinth_probe_up", "Whether the last check went well.")
        seconds = _family("plinth_probe_duration_seconds", "How long the last check took.")
        checked = _family("plinth_probe_last_run_timestamp_seconds", "When the last check ended.")
        for probe in self._probes:
            up.add_metric([probe.name], float(probe.result.ok))
            seconds.add_metric([probe.name], probe.result.seconds)
            checked.add_metric([probe.name], probe.result.checked_at.timestamp())
        yield from (up, seconds, checked)


def _family(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=["probe"])
