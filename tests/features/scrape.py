"""What a Prometheus reads from `/metrics`."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.app_process import AppProcess

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Scrape:
    """One answer; a series that is not there counts as 0, as it does in a query."""

    samples: dict[tuple[str, Labels], float]

    def value(self, name: str, **labels: str) -> float:
        return self.samples.get((name, frozenset(labels.items())), 0.0)

    def label_sets(self, name: str) -> set[Labels]:
        return {labels for found, labels in self.samples if found == name}


async def scrape(app: AppProcess) -> Scrape:
    answer = (await app.http.get("/metrics")).raise_for_status()
    families = text_string_to_metric_families(answer.text)
    found = [sample for family in families for sample in family.samples]
    samples = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}
    assert len(samples) == len(found), "no series is there twice"
    return Scrape(samples)
