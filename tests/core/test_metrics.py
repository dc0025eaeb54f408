"""The registry by itself: that it is complete, documented, bounded, and nobody else's."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from app.core.database import PoolStats
from app.core.metrics import Metrics
from app.core.metrics.depth import QueueDepth
from app.core.metrics.services import MOST_NAMES
from app.core.probe import Probe
from app.core.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "telemetry.md"
ROW = re.compile(r"^\| `(plinth_\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|$", re.MULTILINE)
# The label in which a histogram keeps its buckets.
OWN = {"le"}

DEPTH = QueueDepth(
    queued={("notes.remind", "due"): 1},
    oldest_due={"notes.remind": 1.0},
    dead={"notes.remind": 1},
    tasks_of_unknown_types=0,
    events=1,
    oldest_event=1.0,
    events_of_unknown_types=0,
    snapshot_seconds=1.0,
    snapshot_transactions=1,
)

Described = tuple[str, str, frozenset[str]]


async def nothing() -> None: ...


def _full() -> Metrics:
    """With one of everything that can happen."""
    metrics = Metrics()
    metrics.follow_pool(lambda: PoolStats(3, 2, 1, 0, 0.0, 5, 7, 0.1, 0, 3, 0))
    metrics.follow_probes(Probe("database", nothing, interval=1, timeout=1))
    metrics.http.began()
    metrics.http.ended("GET", "/notes", 200, 0.01)
    metrics.rate_limits.decided("/notes", "allowed")
    metrics.database.acquired(0.001)
    metrics.database.queried("select_note", "ok", 0.001)
    metrics.redis.commanded("GET", "ok", 0.001)
    metrics.spans.exported("sent", 3)
    metrics.sockets.refused("origin")
    metrics.sockets.closed(1000)
    metrics.sockets.dropped("slow")
    metrics.sockets.faulty("BAD_REQUEST")
    metrics.sockets.published("ok")
    metrics.sockets.delivered(0.001)
    _work(metrics, "notes.remind")
    metrics.depth.tell(DEPTH, lasting=60)
    return metrics


def _work(metrics: Metrics, task_type: str) -> None:
    """One task, from its claim to its end, and everything around it."""
    metrics.tasks.claimed(task_type, 0.002)
    metrics.tasks.started(task_type)
    metrics.tasks.ended(task_type, "done", 0.01)
    metrics.tasks.rescued(task_type, poison=False)
    metrics.tasks.rescued(task_type, poison=True)
    metrics.tasks.relayed(3, 6, 0.05)
    metrics.tasks.scheduled(task_type)
    metrics.tasks.listening(is_so=True)


def _told(metrics: Metrics) -> Iterator[Described]:
    text = metrics.exposition("")[0].decode()
    for family in text_string_to_metric_families(text):
        labels = {label for sample in family.samples for label in sample.labels}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        yield name, family.type, frozenset(labels - OWN)


def test_the_page_names_every_metric_with_its_kind_and_labels() -> None:
    rows = ROW.findall(PAGE.read_text())
    written = [(name, kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows]

    told = [each for each in _told(_full()) if each[0].startswith("plinth_")]

    assert len(written) == len(set(written)) > 20
    assert sorted(written, key=str) == sorted(told, key=str)


def test_the_page_asks_for_nothing_that_is_not_there() -> None:
    asked = set(re.findall(r"plinth_\w+", PAGE.read_text()))
    told = {name for name, _, _ in _told(_full())}

    assert {re.sub("_(bucket|sum|count)$", "", name) for name in asked} <= told
    assert len(asked) > len([name for name in told if name.startswith("plinth_")]), "queries ask for parts, too"


def test_every_sample_has_a_name_that_says_its_unit() -> None:
    for name, kind, _ in _told(_full()):
        assert name.endswith("_total") is (kind == "counter")
        assert not re.search(r"_(ms|milliseconds|kb|mb|percent)(_|$)", name)
        assert kind != "histogram" or name.endswith("_seconds")


def test_a_thousand_paths_and_methods_make_one_series() -> None:
    metrics, dice = Metrics(), random.Random(7)  # noqa: S311  (a fixed seed makes a failure repeatable)
    before = len(metrics.exposition("")[0].splitlines())

    for _ in range(1000):
        metrics.http.began()
        metrics.http.ended("".join(dice.choices(string.ascii_uppercase, k=8)), None, 404, 0.001)

    one = {"method": "other", "route": "none", "status": "404"}
    assert metrics.registry.get_sample_value("plinth_http_requests_total", one) == 1000
    assert len(metrics.exposition("")[0].splitlines()) - before < 25, "one counter, and one histogram's buckets"


def test_names_that_are_made_up_without_end_are_counted_together() -> None:
    metrics = Metrics()

    for number in range(MOST_NAMES + 500):
        metrics.database.queried(f"made_up_{number}", "ok", 0.001)

    others = {"statement": "other", "outcome": "other"}
    assert metrics.registry.get_sample_value("plinth_database_queries_total", others) == 500


def test_a_thousand_types_that_nobody_declared_are_counted_together() -> None:
    metrics = Metrics()
    metrics.tasks.know(["notes.remind"], ["notes.nightly"])
    _work(metrics, "notes.remind")
    _work(metrics, "made.up")
    before = len(metrics.exposition("")[0].splitlines())

    for number in range(1000):
        _work(metrics, f"made_up_{number}")

    assert len(metrics.exposition("")[0].splitlines()) == before
    assert _by_type(metrics, "plinth_tasks_claimed_total") == {"notes.remind": 1, "other": 1001}
    assert _by_type(metrics, "plinth_tasks_running") == {"notes.remind": 0, "other": 0}
    assert metrics.registry.get_sample_value("plinth_schedules_ticks_total", {"schedule": "other"}) == 1002


def test_a_declared_type_is_there_before_its_first_event() -> None:
    metrics = Metrics()
    metrics.tasks.know(["notes.remind"], ["notes.nightly"])
    metrics.tasks.know(["notes.remind"], ["notes.nightly"])

    asked = [
        ("plinth_tasks_claimed_total", {"task_type": "notes.remind"}),
        ("plinth_tasks_running", {"task_type": "notes.remind"}),
        ("plinth_tasks_ended_total", {"task_type": "notes.remind", "outcome": "dead"}),
        ("plinth_tasks_poisoned_total", {"task_type": "notes.remind"}),
        ("plinth_schedules_ticks_total", {"schedule": "notes.nightly"}),
    ]

    assert [metrics.registry.get_sample_value(*each) for each in asked] == [0, 0, 0, 0, 0]
    assert _by_type(metrics, "plinth_tasks_run_duration_seconds_count") == {}, "buckets only where something ran"


def _by_type(metrics: Metrics, name: str) -> dict[str, float]:
    families = text_string_to_metric_families(metrics.exposition("")[0].decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {sample.labels["task_type"]: sample.value for sample in samples}


def test_a_duration_falls_into_its_bucket() -> None:
    metrics = Metrics()

    for seconds in (0.0009, 0.02, 29.0, 31.0):
        metrics.http.began()
        metrics.http.ended("GET", "/notes", 200, seconds)

    def below(limit: str) -> float | None:
        labels = {"method": "GET", "route": "/notes", "le": limit}
        return metrics.registry.get_sample_value("plinth_http_request_duration_seconds_bucket", labels)

    assert [below(limit) for limit in ("0.001", "0.025", "30.0", "+Inf")] == [1, 2, 3, 4]


def test_two_applications_count_for_themselves() -> None:
    first, second = Metrics(), Metrics()

    first.http.began()

    name = "plinth_http_requests_in_flight"
    assert (first.registry.get_sample_value(name), second.registry.get_sample_value(name)) == (1, 0)
