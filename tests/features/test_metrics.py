"""Each number of a real server moves when what it counts happens, and no client can make new ones."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.core.version import VERSION
from tests.features.scrape import Scrape, scrape
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.proxy import Proxy, open_proxy
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually
from tests.server.collector import collecting

ROUTES = "tests.server.traced_routes"
REQUESTS = "plinth_http_requests_total"
SECONDS = "plinth_http_request_duration_seconds_count"
POOL = "plinth_database_pool_"
PATIENT = "redis.timeout=5"  # where Redis has to answer: a busy machine that holds it up is no outage


@pytest.mark.engines
async def test_a_request_is_counted_and_timed_under_its_route(app_process: StartApp) -> None:
    app = await app_process(PATIENT, module=ROUTES)

    for word in ("blue", "green", "red"):
        await app.http.get(f"/traced/words/{word}?with=query")
    await app.http.get("/test/crash")
    seen = await scrape(app)

    route = "/traced/words/<word>"
    assert seen.value(REQUESTS, method="GET", route=route, status="200") == 3
    assert seen.value(SECONDS, method="GET", route=route) == 3
    assert 0 < seen.value("plinth_http_request_duration_seconds_sum", method="GET", route=route) < 30
    assert seen.value(REQUESTS, method="GET", route="/test/crash", status="500") == 1


@pytest.mark.engines
async def test_strangers_make_no_new_series(app_process: StartApp) -> None:
    app = await app_process()
    dice = random.Random(7)  # noqa: S311  (a fixed seed makes a failure repeatable)
    await scrape(app)

    statuses = set()
    for _ in range(1000):
        path = "/" + "".join(dice.choices(string.ascii_letters + string.digits + "-_", k=20))
        method = dice.choice(["GET", "POST", "DELETE", "".join(dice.choices(string.ascii_uppercase, k=8))])
        statuses.add((await app.http.request(method, path)).status_code)
    seen = await scrape(app)

    methods = {dict(labels)["method"] for labels in seen.label_sets(REQUESTS)}
    routes = {dict(labels)["route"] for labels in seen.label_sets(REQUESTS)}
    strangers = {labels for labels in seen.label_sets(REQUESTS) if ("route", "none") in labels}
    assert statuses <= {404, 405}
    assert methods <= {"GET", "POST", "DELETE", "other"}
    assert routes == {"none", "/metrics"}
    assert sum(seen.value(REQUESTS, **dict(labels)) for labels in strangers) == 1000
    assert len(strangers) <= 4 * len(statuses)


@pytest.mark.engines
async def test_a_running_request_is_in_flight(app_process: StartApp) -> None:
    app = await app_process()
    before = await scrape(app)
    slow = asyncio.create_task(app.http.get("/test/slow?seconds=3"))

    await _until(app, lambda seen: seen.value("plinth_http_requests_in_flight") == 2)
    slow.cancel()
    await _until(app, lambda seen: seen.value("plinth_http_requests_in_flight") == 1)

    assert before.value("plinth_http_requests_in_flight") == 1, "the scrape itself"


async def test_the_pool_tells_who_holds_it_and_who_waits(app_process: StartApp) -> None:
    app = await app_process("database.pool_min=1", "database.pool_max=1", "database.acquire_timeout=1.5")
    before = await scrape(app)
    asking = [asyncio.create_task(app.http.get("/test/query?seconds=2.5")) for _ in range(2)]

    busy = await _until(app, lambda seen: seen.value(POOL + "oldest_wait_seconds") > 0.2)
    answers = sorted([(await each).status_code for each in asking])
    after = await _until(app, lambda seen: seen.value(POOL + "idle") == 1)

    assert (busy.value(POOL + "in_use"), busy.value(POOL + "idle")) == (1, 0)
    assert busy.value(POOL + "waiting") >= 1, "a probe may wait, too"
    assert (busy.value(POOL + "size"), busy.value(POOL + "max_size")) == (1, 1)
    assert answers == [200, 503]
    assert after.value(POOL + "acquire_timeouts_total") > before.value(POOL + "acquire_timeouts_total")
    assert after.value(POOL + "acquire_seconds_count") > before.value(POOL + "acquire_seconds_count")
    assert (after.value(POOL + "in_use"), after.value(POOL + "waiting")) == (0, 0)


async def test_a_query_is_counted_under_its_name_and_outcome(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    await app.http.get("/traced/words/blue")
    await app.http.get("/traced/broken")
    seen = await scrape(app)

    assert seen.value("plinth_database_queries_total", statement="select_word", outcome="ok") == 1
    assert seen.value("plinth_database_query_duration_seconds_count", statement="select_word") == 1
    assert seen.value("plinth_database_queries_total", statement="textclause", outcome="22012") == 1
    assert "blue" not in repr(seen.samples)


@pytest.mark.fault
async def test_a_lost_database_shows(app_process: StartApp, settings: TestSettings) -> None:
    own = settings().database
    async with open_proxy(own.host, own.port) as proxy:
        through = "database.host=127.0.0.1", f"database.port={proxy.port}", "database.health_interval=0.2"
        app = await app_process(*through, PATIENT, module=ROUTES)
        before = await _until(app, lambda seen: seen.value("plinth_probe_up", probe="database") == 1)

        proxy.cut()
        down = await _until(app, lambda seen: seen.value("plinth_probe_up", probe="database") == 0)
        assert (await app.http.get("/traced/words/blue")).status_code == 503
        proxy.heal()
        await _until(app, lambda seen: seen.value("plinth_probe_up", probe="database") == 1)
        assert (await app.http.get("/traced/words/blue")).status_code == 200
        after = await scrape(app)

    last_run = "plinth_probe_last_run_timestamp_seconds"
    assert down.value(last_run, probe="database") > before.value(last_run, probe="database")
    assert down.value("plinth_probe_duration_seconds", probe="database") > 0
    assert after.value(POOL + "opened_total") > before.value(POOL + "opened_total")


@pytest.fixture
async def redis_proxy(settings: TestSettings) -> AsyncIterator[Proxy]:
    parts = urlsplit(settings().redis.url.reveal())
    async with open_proxy(parts.hostname or "", parts.port or 6379) as proxy:
        yield proxy


@pytest.mark.fault
async def test_a_lost_redis_shows_and_so_does_whom_nobody_counts(
    app_process: StartApp, settings: TestSettings, redis_proxy: Proxy
) -> None:
    url = redis_proxy.url(settings().redis.url.reveal())
    app = await app_process(f"redis.url={url}", PATIENT, "redis.health_interval=0.2", module=ROUTES)
    await app.http.get("/test/redis")

    redis_proxy.cut()
    down = await _until(app, lambda seen: seen.value("plinth_probe_up", probe="redis") == 0)
    await app.http.get("/test/redis")
    limited = await app.http.get("/traced/limited")
    refused = await scrape(app)
    redis_proxy.heal()
    up = await _until(app, lambda seen: seen.value("plinth_probe_up", probe="redis") == 1)

    commands, decisions = "plinth_redis_commands_total", "plinth_rate_limit_decisions_total"
    assert down.value(commands, command="GET", outcome="ok") == 1
    assert refused.value(commands, command="GET", outcome="refused") == 1
    assert refused.value("plinth_redis_command_duration_seconds_count", command="GET") == 2
    assert limited.status_code == 200
    assert refused.value(decisions, route="/traced/limited", outcome="unavailable") == 1
    assert up.value("plinth_probe_up", probe="database") == 1


@pytest.mark.fault
async def test_a_command_that_met_a_silent_redis_is_unavailable(
    app_process: StartApp, settings: TestSettings, redis_proxy: Proxy
) -> None:
    url = redis_proxy.url(settings().redis.url.reveal())
    app = await app_process(f"redis.url={url}", "redis.timeout=0.05", "redis.health_interval=30")

    redis_proxy.stall()
    answer = await app.http.get("/test/redis")
    seen = await scrape(app)

    assert answer.json()["redis"] is False
    assert seen.value("plinth_redis_commands_total", command="GET", outcome="unavailable") == 1


async def test_what_the_rate_limits_decide_is_counted(app_process: StartApp) -> None:
    app = await app_process(PATIENT, module=ROUTES)

    answers = [(await app.http.get("/traced/limited")).status_code for _ in range(3)]
    seen = await scrape(app)

    decisions = "plinth_rate_limit_decisions_total"
    assert answers == [200, 429, 429]
    assert seen.value(decisions, route="/traced/limited", outcome="allowed") == 1
    assert seen.value(decisions, route="/traced/limited", outcome="limited") == 2


async def test_a_handler_that_holds_the_event_loop_shows(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    await app.http.get("/traced/hog?seconds=0.8")
    seen = await _until(app, lambda seen: seen.value("plinth_event_loop_lag_seconds") > 0.5)

    assert seen.value("plinth_event_loop_lag_seconds") < 10


async def test_spans_are_counted_as_they_are_sent_or_lost(app_process: StartApp) -> None:
    async with collecting() as collector:
        app = await app_process(f"telemetry.otlp_endpoint={collector.url}", module=ROUTES)
        await app.http.get("/traced/words/blue")

        seen = await _until(app, lambda seen: seen.value("plinth_trace_spans_total", outcome="sent") >= 3)

    assert seen.value("plinth_trace_spans_total", outcome="lost") == 0


async def test_a_scraper_gets_the_format_it_asks_for(app_process: StartApp) -> None:
    app = await app_process()
    asked = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"

    plain = await app.http.get("/metrics")
    odd = await app.http.get("/metrics", headers=[(b"Accept", b"text/plain;version=\xff;escaping=,;;=")])
    modern = await app.http.get("/metrics", headers={"Accept": asked})

    read = text_string_to_metric_families(modern.text)  # type: ignore[no-untyped-call]  # has no types
    families = {family.name for family in read}
    assert plain.headers["content-type"] == odd.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert modern.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert modern.text.endswith("# EOF\n")
    assert {"plinth_http_requests", "process_resident_memory_bytes", "python_gc_collections"} <= families
    assert f'plinth_build_info{{version="{VERSION}"}} 1.0' in plain.text
    assert plain.headers["cache-control"] == "no-store"
    assert "_created" not in plain.text


@pytest.mark.engines
async def test_a_scrape_is_not_in_the_log(app_process: StartApp) -> None:
    app = await app_process(module=ROUTES)

    await scrape(app)
    await app.http.get("/traced/words/blue")
    await eventually(lambda: app.events("request"), within=10)

    assert {line["route"] for line in app.events("request")} == {"/traced/words/<word>"}


async def _until(app: AppProcess, true: Callable[[Scrape], bool]) -> Scrape:
    """The first scrape of which it is true."""

    async def found() -> Scrape | None:
        seen = await scrape(app)
        return seen if true(seen) else None

    looking: Callable[[], Awaitable[Scrape | None]] = found
    seen = await eventually(looking, within=15)
    assert seen is not None
    return seen
