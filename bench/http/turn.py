"""One turn of a contestant: it is started, given each piece of work, and measured from outside."""

from __future__ import annotations

from collections.abc import Sequence

from bench.http.contestants import Contestant
from bench.http.ground import Ground
from bench.http.limits import TOLERATED, uncounted_by
from bench.http.load import CONNECTIONS, Request, VoidRun, send
from bench.http.report import AFTER, IDLE, median_latency_of, postgres_cpu_of
from bench.http.server import Server, serving
from bench.measures import Measure, Round, progress
from bench.names import HEALTH, PER_SECOND, READ, ROUTE, WORK, WRITE, cpu_of, latency_of

WARM_UP = 1  # seconds before each time that counts
PARTS = {"live": HEALTH, "a": ROUTE, "b": READ, "c": WRITE}


def measures() -> list[Measure]:
    found = [Measure(work, work, PER_SECOND, more_is_better=True) for work in WORK]
    for work in WORK:
        found += [
            Measure(cpu_of(work), cpu_of(work), "s/1,000"),
            Measure(postgres_cpu_of(work), postgres_cpu_of(work), "s/1,000"),
            Measure(median_latency_of(work), median_latency_of(work), "ms"),
            Measure(latency_of(work), latency_of(work), "ms"),
        ]
    return [*found, Measure(IDLE, IDLE, "MiB"), Measure(AFTER, AFTER, "MiB")]


async def valid_turn(contestant: Contestant, ground: Ground, parts: Sequence[str], seconds: int) -> Round:
    """One that is void is taken again, and told of; a second one in a row ends the bench."""
    try:
        return await turn(contestant, ground, parts, seconds)
    except VoidRun as void:
        progress(f"void, and taken again: {void}")
        return await turn(contestant, ground, parts, seconds)


async def turn(contestant: Contestant, ground: Ground, parts: Sequence[str], seconds: int) -> Round:
    """One contestant, started anew."""
    async with serving(contestant, ground.place()) as server:
        found = {IDLE: server.memory()}
        for part in parts:
            try:
                found |= await measure(server, ground, PARTS[part], seconds)
            except VoidRun as void:
                raise VoidRun(f"{contestant.name}, {PARTS[part]}: {void}") from void
        found |= {AFTER: server.memory()}
        if contestant.limited and {"b", "c"} & {*parts}:
            await _counted(contestant, server)
    return found


async def _counted(contestant: Contestant, server: Server) -> None:
    share = await uncounted_by(server.url)
    if share > TOLERATED:
        raise VoidRun(f"{contestant.name}: {share:.1%} of the requests passed uncounted, since Redis did not answer")


async def measure(server: Server, ground: Ground, work: str, seconds: int) -> Round:
    request = requests_of(ground)[work]
    await ground.reset()
    warm = await send(server.url, request, WARM_UP)
    before, postgres = server.cpu(), ground.cpu()
    load = await send(server.url, request, seconds)
    cpu, postgres = server.cpu() - before, ground.cpu() - postgres
    if work == WRITE:
        _complete(await ground.written(), warm.requests + load.requests)
    thousands = load.requests / 1000
    return {
        work: load.per_second,
        cpu_of(work): cpu / thousands,
        postgres_cpu_of(work): postgres / thousands,
        median_latency_of(work): load.p50,
        latency_of(work): load.p99,
    }


def requests_of(ground: Ground) -> dict[str, Request]:
    return {
        HEALTH: Request("GET", "/health/live"),
        ROUTE: Request("GET", "/plain"),
        READ: Request("GET", "/items", ground.tokens),
        WRITE: Request("POST", "/items", ground.tokens),
    }


def _complete(written: tuple[int, int], answered: int) -> None:
    """An item and an event for every answer; those that were under way when wrk hung up may come on top."""
    items, events = written
    if items != events or not answered <= items <= answered + 2 * CONNECTIONS:
        raise VoidRun(f"{answered} answers, but {items} items and {events} events")
