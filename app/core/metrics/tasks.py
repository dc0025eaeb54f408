"""Counts what a worker does: claims, runs and their ends, what was taken back, events handed on, ticks of schedules.

No label holds what a row made up: types and schedules are those that `know` has named, every other one is `other`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Seconds. An idle worker begins within 10 ms of the commit; a busy one may be hours behind.
DELAY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600, 3600)
# Seconds. From a run of one query to twice the timeout of a task as it comes (60 s), and those that ask for more.
RUN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 600, 3600)
# Seconds. The relay is told after the commit, and looks by itself each `worker.poll_interval`.
LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600)

OUTCOMES = ("done", "retry", "later", "dead", "released", "lost")
OTHER = "other"

Count = Callable[[], None]
Observe = Callable[[float], None]


class TypeFamilies:
    """What is counted by type."""

    def __init__(self, registry: CollectorRegistry) -> None:
        label = ["task_type"]
        self.claims = Counter("plinth_tasks_claimed", "Tasks taken to be run.", label, registry=registry)
        self.delays = Histogram(
            "plinth_tasks_pickup_delay_seconds",
            "Time from the moment a task was due to its claim.",
            label,
            buckets=DELAY_BUCKETS,
            registry=registry,
        )
        self.running = Gauge("plinth_tasks_running", "Runs under way in this process.", label, registry=registry)
        self.ends = Counter("plinth_tasks_ended", "Runs ended.", [*label, "outcome"], registry=registry)
        self.runs = Histogram(
            "plinth_tasks_run_duration_seconds",
            "Time from the beginning of a run to its end.",
            label,
            buckets=RUN_BUCKETS,
            registry=registry,
        )
        self.rescues = Counter(
            "plinth_tasks_rescued", "Tasks whose lease ran out, to be run again.", label, registry=registry
        )
        self.poisons = Counter(
            "plinth_tasks_poisoned", "Tasks given up: too many workers were lost with them.", label, registry=registry
        )


class TypeSeries:
    """The series of one type, looked up once; its counters are there from the beginning, with 0.

    A counter that is not there before its first event hides this event from `increase` and `rate`. Buckets come with
    the first run: most types of a large service never run on one worker.
    """

    def __init__(self, families: TypeFamilies, name: str) -> None:
        self._families, self._name = families, name
        self.claimed: Count = families.claims.labels(name).inc
        self.running = families.running.labels(name)
        self.ended: dict[str, Count] = {outcome: families.ends.labels(name, outcome).inc for outcome in OUTCOMES}
        self.rescued: Count = families.rescues.labels(name).inc
        self.poisoned: Count = families.poisons.labels(name).inc
        self.delayed: Observe = self._first_delay
        self.took: Observe = self._first_run

    def _first_delay(self, seconds: float) -> None:
        self.delayed = self._families.delays.labels(self._name).observe
        self.delayed(seconds)

    def _first_run(self, seconds: float) -> None:
        self.took = self._families.runs.labels(self._name).observe
        self.took(seconds)


class TaskMetrics:
    """What a worker tells."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._families = TypeFamilies(registry)
        self._types: dict[str, TypeSeries] = {}
        self._schedules: dict[str, Count] = {}
        self._listening = Gauge(
            "plinth_tasks_listening", "1 while hints of new work arrive; without them it is polled.", registry=registry
        )
        self._events = Counter("plinth_outbox_relayed", "Events handed on.", registry=registry)
        self._made = Counter("plinth_outbox_tasks", "Tasks made of events.", registry=registry)
        self._lag = Histogram(
            "plinth_outbox_relay_lag_seconds",
            "Time from an event to its handing on; of each batch, the oldest.",
            buckets=LAG_BUCKETS,
            registry=registry,
        )
        self._ticks = Counter("plinth_schedules_ticks", "Tasks enqueued on time.", ["schedule"], registry=registry)

    def know(self, task_types: Iterable[str], schedules: Iterable[str] = ()) -> None:
        """These names get series of their own; told once more, nothing changes."""
        for task_type in task_types:
            if task_type not in self._types:
                self._types[task_type] = TypeSeries(self._families, task_type)
        for schedule in schedules:
            self._schedules[schedule] = self._ticks.labels(schedule).inc

    def claimed(self, task_type: str, waited: float) -> None:
        """A task was taken, `waited` seconds after it was due."""
        series = self._of(task_type)
        series.claimed()
        series.delayed(max(waited, 0.0))

    def started(self, task_type: str) -> None:
        """Its run begins."""
        self._of(task_type).running.inc()

    def ended(self, task_type: str, outcome: str, seconds: float) -> None:
        """A run that was `started` has ended, in one of `OUTCOMES`."""
        series = self._of(task_type)
        series.running.dec()
        series.ended[outcome]()
        series.took(seconds)

    def rescued(self, task_type: str, *, poison: bool) -> None:
        """The lease of some worker's task had run out: it is to be run again, or with `poison` it is dead."""
        series = self._of(task_type)
        if poison:
            series.poisoned()
        else:
            series.rescued()

    def relayed(self, events: int, tasks: int, lag: float) -> None:
        """So many events were made into so many tasks; the oldest of them had waited `lag` seconds."""
        self._events.inc(events)
        self._made.inc(tasks)
        self._lag.observe(max(lag, 0.0))

    def scheduled(self, name: str) -> None:
        """A schedule's task was enqueued."""
        (self._schedules.get(name) or self._ticks.labels(OTHER).inc)()

    def listening(self, *, is_so: bool) -> None:
        """Whether hints of new work arrive."""
        self._listening.set(int(is_so))

    def _of(self, task_type: str) -> TypeSeries:
        series = self._types.get(task_type) or self._types.get(OTHER)
        if series is None:
            series = self._types[OTHER] = TypeSeries(self._families, OTHER)
        return series
