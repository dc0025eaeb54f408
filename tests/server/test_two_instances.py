"""Two real processes and a Redis that comes and goes: what one pushes is heard on both, or known to be missing."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import psutil
import pytest
from redis.asyncio import Redis as Client

from app.embedded import RedisServer
from tests.harness.app_process import AppProcess, launch_app
from tests.harness.processes import stalled
from tests.harness.settings import TestSettings
from tests.harness.signed_tokens import credential, revoke
from tests.harness.talking import Frame, Talk, talking
from tests.harness.waiting import eventually
from tests.server.push_ledger import Ledger, Resumption, keeping_a_ledger

pytestmark = [pytest.mark.fault, pytest.mark.xdist_group("two instances"), pytest.mark.engines]

ROUTES = "tests.harness.realtime_routes"
TOPICS = ("news:a", "news:b", "news:c")
# The long run: PLINTH_LONG=10 does everything ten times.
TIMES = int(os.environ.get("PLINTH_LONG", "1"))
RESTARTS, STOPS = 20 * TIMES, 5 * TIMES
AWAY = 2.5  # seconds of a stop
RESUMES = 2.0  # seconds from Redis's first answer to pushes that arrive: a promise
NOTICED = 2.5  # seconds from Redis's silence to its being known, and half a second for looking
PATIENCE = 30.0


@pytest.fixture
async def apps(settings: TestSettings, own_redis: RedisServer) -> AsyncIterator[list[AppProcess]]:
    async with running_apps(settings, own_redis) as started:
        yield started


@pytest.fixture
async def patient_apps(settings: TestSettings, own_redis: RedisServer) -> AsyncIterator[list[AppProcess]]:
    """Where every push has to be taken, also on a busy machine."""
    async with running_apps(settings, own_redis, "redis.timeout=5") as started:
        yield started


@asynccontextmanager
async def running_apps(settings: TestSettings, server: RedisServer, *overrides: str) -> AsyncIterator[list[AppProcess]]:
    options = (f"redis.url={server.url}", "rate_limit.enabled=false", "telemetry.networks=127.0.0.0/8", *overrides)
    async with Client.from_url(server.url) as client:
        await client.flushall()  # it is the module's: who was revoked in another test is not in this one
    async with AsyncExitStack() as running:
        started = [await running.enter_async_context(launch_app(settings, *options, module=ROUTES)) for _ in range(2)]
        for app in started:
            await app.listening()
            await until_connected(app)
        yield started


async def until_connected(app: AppProcess) -> None:
    async def connected() -> bool:
        return bool((await app.http.get("/test/realtime")).json()["connected"])

    await eventually(connected, within=PATIENCE)


async def restart(server: RedisServer) -> float:
    """When it answered again."""
    await server.stop()
    assert not server.running
    await server.start()
    return time.monotonic()


async def shut_down(server: RedisServer) -> float:
    await server.stop()
    assert not server.running
    await asyncio.sleep(AWAY)
    await server.start()
    return time.monotonic()


@asynccontextmanager
async def frozen(server: RedisServer) -> AsyncIterator[None]:
    process = psutil.Process(server.pid)
    with stalled(server.pid):
        await eventually(lambda: process.status() == psutil.STATUS_STOPPED, within=PATIENCE)
        yield


async def freeze(server: RedisServer) -> float:
    async with frozen(server):
        await asyncio.sleep(AWAY)
    return time.monotonic()


@pytest.mark.timeout(180 * TIMES)
async def test_every_loss_is_announced_and_pushes_resume_in_time(
    apps: list[AppProcess], own_redis: RedisServer
) -> None:
    faults = [restart] * RESTARTS + [shut_down if number % 2 else freeze for number in range(STOPS)]
    resumed: list[Resumption] = []
    async with keeping_a_ledger(apps, TOPICS, readers=3) as ledger:
        for fault in faults:
            await ledger.some_calm()
            back = await fault(own_redis)
            resumed.append(await ledger.resumed(back))

    print(figures(ledger, resumed))  # noqa: T201  (shown by pytest -rP)
    for reader in ledger.readers:
        assert reader.lost(), "nothing was lost: the faults were none"
        assert reader.resyncs >= len(faults) * len(TOPICS)
        assert reader.lost_silently() == set()
        assert reader.faults == []
        assert reader.out_of_order() == []
    assert ledger.same_everywhere()
    assert ledger.book.taken[True] > 20 * len(faults)
    assert ledger.book.taken[False] > len(faults)
    assert max(each.seconds - each.stolen for each in resumed) < RESUMES


def figures(ledger: Ledger, resumed: list[Resumption]) -> str:
    taken, lost = ledger.book.taken, sum(len(reader.lost()) for reader in ledger.readers)
    taken_and_lost = sum(ledger.book.told[entry] for reader in ledger.readers for entry in reader.lost())
    seconds = [each.seconds for each in resumed]
    return (
        f"pushed {taken[True] + taken[False]}, not taken {taken[False]}; {len(ledger.readers)} readers, "
        f"lost {lost}, of which taken by Redis {taken_and_lost}, resyncs {sum(r.resyncs for r in ledger.readers)}; "
        f"resumed after {statistics.median(seconds):.2f} s, at most {max(seconds):.2f} s; "
        f"the machine kept us waiting for up to {max(each.stolen for each in resumed):.2f} s of it"
    )


async def post(app: AppProcess, path: str, data: object = None, **query: str) -> bool:
    answer = await app.http.post(f"/test/realtime/{path}", json=data, params=query)
    return bool(answer.raise_for_status().json()["taken"])


async def until(talk: Talk, **fields: object) -> Frame:
    """The next frame with these fields."""
    while True:
        frame = await talk.next()
        if fields.items() <= frame.items():
            return frame


async def test_a_push_on_one_instance_is_heard_on_both(patient_apps: list[AppProcess]) -> None:
    one, two = patient_apps
    async with talking(one, "ada") as first, talking(two, "ada") as second, talking(two, "bob") as other:
        for talk in (first, second, other):
            await talk.subscribe("news")

        assert await post(one, "topics/news", 1)
        assert await post(two, "topics/news", 2)
        assert await post(two, "users/ada", "for ada")
        assert await post(one, "everyone", "for all")

        frames = [[await talk.next() for _ in range(4)] for talk in (first, second)]
        others = [await other.next() for _ in range(3)]
    for heard in frames:
        assert sorted((frame["topic"], frame["seq"], frame["data"]) for frame in heard) == [
            ("everyone", 1, "for all"),
            ("news", 1, 1),
            ("news", 2, 2),
            ("user:ada", 1, "for ada"),
        ]
    assert [frame["data"] for frame in others] == [1, 2, "for all"]


@pytest.mark.alone
@pytest.mark.parametrize("fault", ["stopped", "stalled"])
async def test_what_redis_did_not_take_is_announced_on_both_once_it_is_back(
    apps: list[AppProcess], own_redis: RedisServer, fault: str
) -> None:
    async with talking(apps[0], "ada") as first, talking(apps[1], "ada") as second:
        for talk in (first, second):
            await talk.subscribe("news")
        if fault == "stopped":
            await own_redis.stop()
            taken = await post(apps[0], "topics/news", "lost")
            await own_redis.start()
        else:
            async with frozen(own_redis):  # for so short a time that no connection is given up
                taken = await post(apps[0], "topics/news", "perhaps lost")
        began = time.monotonic()
        announced = [await until(talk, type="resync", topic="news") for talk in (first, second)]
        seconds = time.monotonic() - began

    assert not taken
    assert announced[0]["epoch"] == announced[1]["epoch"]
    assert seconds < RESUMES


async def test_who_subscribes_while_redis_is_away_is_told_when_it_is_back(
    apps: list[AppProcess], own_redis: RedisServer
) -> None:
    await own_redis.stop()
    async with talking(apps[0], "ada") as talk:
        subscribed = await talk.subscribe("news")
        await own_redis.start()
        resync = await until(talk, type="resync", topic="news")
        await until_taken(apps[1], "topics/news")
        event = await until(talk, type="event", topic="news")

    assert (subscribed["epoch"], subscribed["seq"]) == (None, None)
    assert resync["epoch"]
    assert event["seq"] > resync["seq"]


async def until_taken(app: AppProcess, path: str) -> None:
    async def taken() -> bool:
        return await post(app, path, {})

    await eventually(taken, within=PATIENCE)


class Household:
    """Sockets of two users and three sign-ins, on both instances."""

    def __init__(self) -> None:
        self.talks: dict[tuple[str, int], Talk] = {}

    def of(self, *sessions: str) -> list[Talk]:
        return [talk for (session, _), talk in self.talks.items() if session in sessions]


SESSIONS = {"ada-phone": "ada", "ada-desk": "ada", "bob-desk": "bob"}


@asynccontextmanager
async def household(apps: list[AppProcess]) -> AsyncIterator[Household]:
    async with AsyncExitStack() as open_sockets:
        household = Household()
        for session, user in SESSIONS.items():
            for number, app in enumerate(apps):
                talk = await open_sockets.enter_async_context(talking(app, user, session=session))
                household.talks[session, number] = talk
        yield household


async def are_closed(talks: list[Talk]) -> bool:
    return [await talk.ended() for talk in talks] == [(1008, "signed out")] * len(talks) != []


async def answer(talks: list[Talk]) -> bool:
    """Whether they are open still."""
    for talk in talks:
        await talk.say("ping")
        await until(talk, type="pong")
    return talks != []


async def test_a_sign_out_closes_the_right_sockets_on_both(patient_apps: list[AppProcess]) -> None:
    async with household(patient_apps) as sockets:
        assert await post(patient_apps[0], "sign-outs/ada", credential=credential("ada-phone"))
        assert await are_closed(sockets.of("ada-phone"))
        assert await answer(sockets.of("ada-desk", "bob-desk"))

        assert await post(patient_apps[1], "sign-outs/ada")
        assert await are_closed(sockets.of("ada-desk"))
        assert await answer(sockets.of("bob-desk"))


async def test_a_sign_out_while_redis_is_down_closes_the_sockets_once_it_is_back(
    apps: list[AppProcess], own_redis: RedisServer
) -> None:
    async with household(apps) as sockets:
        await own_redis.stop()
        taken = await post(apps[0], "sign-outs/ada", credential=credential("ada-phone"))
        await own_redis.start()

        assert not taken
        assert await are_closed(sockets.of("ada-phone"))
        assert await answer(sockets.of("ada-desk", "bob-desk"))


async def test_a_sign_out_that_was_missed_is_found_as_soon_as_redis_is_back(
    apps: list[AppProcess], own_redis: RedisServer
) -> None:
    """The interval is a minute: the review comes with the new connection."""
    async with household(apps) as sockets, Client.from_url(own_redis.url) as client:
        revoke(own_redis.url, "ada-phone")
        await client.client_kill_filter(_type="pubsub")

        assert await are_closed(sockets.of("ada-phone"))
        assert await answer(sockets.of("ada-desk", "bob-desk"))


async def test_what_nobody_has_said_is_found_by_the_review_and_by_the_clock(
    settings: TestSettings, own_redis: RedisServer
) -> None:
    async with running_apps(settings, own_redis, "websocket.review_interval=0.5") as apps, household(apps) as sockets:
        revoke(own_redis.url, "ada-phone")
        assert await are_closed(sockets.of("ada-phone"))

        async with talking(apps[0], "ada", session="short", expires=time.time() + 2) as short:
            assert await short.ended() == (1008, "credentials expired")
        assert await answer(sockets.of("ada-desk", "bob-desk"))


async def metric(app: AppProcess, name: str) -> float:
    text = (await app.http.get("/metrics")).text
    [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


async def is_counted(app: AppProcess, name: str, value: float) -> bool:
    return await metric(app, name) == value


@pytest.mark.alone
async def test_what_arrives_and_whether_it_does_is_counted(apps: list[AppProcess], own_redis: RedisServer) -> None:
    async with talking(apps[1], "ada") as talk:
        await talk.subscribe("news")
        await until_taken(apps[0], "topics/news")
        await until(talk, type="event")
        delivered = await metric(apps[1], "plinth_realtime_fanout_lag_seconds_count")
        elsewhere = await metric(apps[0], "plinth_realtime_fanout_lag_seconds_count")
        async with frozen(own_redis):
            began = time.monotonic()
            await eventually(lambda: is_counted(apps[1], "plinth_realtime_connected", 0), within=PATIENCE)
            noticed = time.monotonic() - began
        await until(talk, type="resync", topic="news")
        await eventually(lambda: is_counted(apps[1], "plinth_realtime_connected", 1), within=PATIENCE)

        assert delivered >= 1
        assert elsewhere == 0
        assert await metric(apps[1], "plinth_realtime_resyncs_total") >= 1
        assert noticed < NOTICED


async def test_two_that_stop_leave_nothing_unsaid(apps: list[AppProcess]) -> None:
    for app in apps:
        app.terminate()

    assert [await app.wait(within=PATIENCE) for app in apps] == [0, 0]
    assert not [line for app in apps for line in app.logs if line.get("level") in ("error", "critical")]


async def test_one_that_stops_while_redis_is_down_logs_what_it_owes(
    apps: list[AppProcess], own_redis: RedisServer
) -> None:
    await own_redis.stop()
    for number in range(3):
        await post(apps[0], f"topics/news:{number}", {})
    await post(apps[0], "sign-outs/ada")
    apps[0].terminate()

    code = await apps[0].wait(within=PATIENCE)

    await own_redis.start()
    [owed] = apps[0].events("realtime_owed")
    assert code == 0
    assert (owed["topics"], owed["sign_outs"]) == (3, 1)
