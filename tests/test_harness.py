"""The kit's own promises to the tests that use it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import cast

import asyncpg
import psutil
import pytest
from redis.asyncio import Redis

from app.core.clock import Clock
from app.core.database import Database
from app.core.settings import PROJECT_ROOT
from app.embedded.folder import claim
from tests.harness import leftovers, order
from tests.harness.clock import FakeClock
from tests.harness.databases import Clones
from tests.harness.engine import Engine
from tests.harness.fixtures import StartApp
from tests.harness.leftovers import PREFIX, remove_dead_folders, service_folder
from tests.harness.ports import reserved_port
from tests.harness.processes import census, stalled, title
from tests.harness.services import Choice, Way, choose
from tests.harness.waiting import eventually

HERE = Engine("here", "", required=False)
NOWHERE = Engine("nowhere", "no Docker engine answers at nowhere", required=False)
REQUIRED = Engine("nowhere", "no Docker engine answers at nowhere", required=True)
BOTH = {"TEST_DATABASE_URL": "postgresql://x@y/z", "TEST_REDIS_URL": "redis://y/0"}


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.mark.parametrize("turn", [1, 2])
async def test_a_clone_has_the_whole_schema_whatever_the_one_before_it_did(database_url: str, turn: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        users = await connection.fetchval("SELECT count(*) FROM users")
        await connection.execute(f"DROP TABLE users CASCADE; CREATE TABLE turn_{turn} ()")
    finally:
        await connection.close()

    assert users == 0


async def test_a_dropped_clone_is_gone_even_with_somebody_connected(clones: Clones, database_url: str) -> None:
    url = clones.make()
    connection = await asyncpg.connect(url)

    clones.drop(url)

    await eventually(connection.is_closed, within=10)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)
    await (await asyncpg.connect(database_url)).close()


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_finds_redis_empty(redis_url: str, turn: int) -> None:
    async with Redis.from_url(redis_url) as redis:
        assert await redis.dbsize() == 0

        await redis.set("mine", turn)


async def test_db_is_open_on_the_migrated_schema(db: Database) -> None:
    assert await db.fetch_val("SELECT count(*) FROM users") == 0


async def test_an_app_process_is_the_real_server_with_the_kits_own_routes(app_process: StartApp) -> None:
    app = await app_process("server.shutdown_timeout=5")

    alive = await app.http.get("/health/live")
    inside = await app.http.get("/test/inside")
    app.terminate()

    assert (alive.status_code, inside.json()["pid"]) == (200, app.pid)
    assert await app.wait(within=10) == 0
    assert app.events("server_listening")[0]["url"] == app.url


async def test_an_app_that_does_not_start_shows_its_log(app_process: StartApp) -> None:
    with pytest.raises(AssertionError, match="the app ended with 3"):
        await app_process("database.port=1", "database.start_timeout=0.2")


def test_the_clock_stands_still_until_moved(clock: FakeClock) -> None:
    as_the_app_sees_it: Clock = clock
    wall, since = clock.now(), clock.monotonic()

    clock.advance(90)

    assert (as_the_app_sees_it.now() - wall).total_seconds() == 90
    assert as_the_app_sees_it.monotonic() - since == 90


async def test_eventually_shows_the_last_answer_when_it_gives_up() -> None:
    with pytest.raises(AssertionError, match=r"last answer: 0"):
        await eventually(lambda: 0, within=0.02)


async def test_eventually_takes_an_error_for_not_yet() -> None:
    answers = iter([1, 0, 1])

    assert await eventually(lambda: 1 / next(answers) == 1 and next(answers, "done"), within=5)


async def test_who_ends_meanwhile_is_in_no_ones_way_to_be_stalled_and_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    child, other = [await asyncio.create_subprocess_exec("sleep", "60") for _ in range(2)]
    process, gone = psutil.Process(child.pid), psutil.Process(other.pid)
    other.kill()
    await other.wait()
    monkeypatch.setattr(psutil.Process, "children", lambda *_, **__: [gone])
    try:
        with stalled(child.pid):
            await eventually(lambda: process.status() == psutil.STATUS_STOPPED, within=10)
        await eventually(lambda: process.status() == psutil.STATUS_SLEEPING, within=10)
    finally:
        child.kill()
        await child.wait()

    assert title(gone) == ""


async def test_a_census_sees_a_file_left_open() -> None:
    before = census()
    read, write = os.pipe()

    grown = census() - before
    os.close(read)
    os.close(write)

    assert grown.files == 2
    assert (census() - before).files == 0


@pytest.mark.parametrize(
    ("environ", "engine", "way", "why"),
    [
        ({}, NOWHERE, Way.EMBEDDED, "no Docker engine answers at nowhere"),
        (BOTH, HERE, Way.URLS, "TEST_DATABASE_URL and TEST_REDIS_URL are set"),
        (BOTH, REQUIRED, Way.URLS, "TEST_DATABASE_URL and TEST_REDIS_URL are set"),
        ({"PLINTH_TEST_SERVICES": "embedded"}, HERE, Way.EMBEDDED, "PLINTH_TEST_SERVICES=embedded"),
        ({"PLINTH_TEST_SERVICES": "embedded"}, REQUIRED, Way.EMBEDDED, "PLINTH_TEST_SERVICES=embedded"),
        ({"PLINTH_TEST_SERVICES": "embedded", **BOTH}, HERE, Way.EMBEDDED, "PLINTH_TEST_SERVICES=embedded"),
        ({"PLINTH_TEST_SERVICES": "urls", **BOTH}, HERE, Way.URLS, "PLINTH_TEST_SERVICES=urls"),
    ],
)
def test_the_way_to_services(environ: Mapping[str, str], engine: Engine, way: Way, why: str) -> None:
    assert choose(environ, engine) == Choice(way, why)


@pytest.mark.parametrize(
    ("environ", "engine", "message"),
    [
        ({}, REQUIRED, "PLINTH_REQUIRE_DOCKER=1, but tests cannot use containers: no Docker engine answers"),
        ({"PLINTH_TEST_SERVICES": "containers"}, NOWHERE, "PLINTH_TEST_SERVICES=containers, but: no Docker engine"),
        ({"PLINTH_TEST_SERVICES": "docker"}, HERE, "expected one of urls, containers, embedded"),
        ({"PLINTH_TEST_SERVICES": "urls"}, HERE, "TEST_DATABASE_URL and TEST_REDIS_URL must be set"),
        ({"TEST_REDIS_URL": "redis://y/0"}, HERE, "TEST_DATABASE_URL must be set too"),
    ],
)
def test_a_way_that_is_closed_stops_the_run(environ: Mapping[str, str], engine: Engine, message: str) -> None:
    with pytest.raises(pytest.UsageError, match=message):
        choose(environ, engine)


@dataclass(frozen=True)
class Item:
    """As much of a test as its order depends on."""

    nodeid: str
    marks: tuple[pytest.MarkDecorator, ...] = ()

    @property
    def path(self) -> Path:
        return Path(self.nodeid.partition("::")[0])

    def get_closest_marker(self, name: str) -> pytest.Mark | None:
        return next((mark.mark for mark in self.marks if mark.name == name), None)


def ordered(items: list[Item], arrange: Callable[[list[pytest.Item]], None]) -> list[str]:
    arranged = cast("list[pytest.Item]", list(items))
    arrange(arranged)
    return [item.nodeid for item in arranged]


def test_one_seed_gives_one_order_and_another_seed_another() -> None:
    items = [Item(f"{module}.py::test_{number}") for module in "abcd" for number in range(9)]
    orders = [ordered(items, partial(order.shuffle, seed=seed)) for seed in ("1", "1", "2")]

    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[2]) == sorted(item.nodeid for item in items)
    assert len(list(groupby(orders[0], lambda name: name[0]))) == 4, "a module's tests stay side by side"


def test_what_stays_on_one_worker_begins_first_and_the_longest_of_it_at_once() -> None:
    one, another, slow = pytest.mark.xdist_group("one"), pytest.mark.xdist_group("another"), pytest.mark.timeout(300)
    items = [
        Item("a", (one,)),
        Item("b"),
        Item("c", (another,)),
        Item("d", (another, slow)),
        Item("e"),
        Item("f", (slow,)),
    ]

    assert ordered(items, order.longest_first) == ["c", "d", "a", "f", "b", "e"]


def test_what_runs_alone_comes_after_the_others_that_may_be_long() -> None:
    group, slow, alone = pytest.mark.xdist_group("one"), pytest.mark.timeout(300), pytest.mark.alone
    items = [
        Item("a", (group, slow)),
        Item("b", (group, alone)),
        Item("c", (pytest.mark.xdist_group("another"),)),
        Item("d", (alone,)),
        Item("e"),
    ]

    assert ordered(items, order.longest_first) == ["c", "a", "b", "e", "d"]


async def test_folders_of_dead_runs_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    dead, living = tmp_path / f"{PREFIX}dead", tmp_path / f"{PREFIX}living"
    (dead / "postgres").mkdir(parents=True)
    (dead / ".postgres.lock").touch()

    async with claim(living / "postgres"):
        remove_dead_folders(tmp_path, older_than=-1)

        assert names_in(tmp_path) == [living.name]


HOLDS_A_FOLDER = """
import sys
from pathlib import Path
from tests.harness import leftovers

leftovers.fastest_place = lambda: Path(sys.argv[1])
with leftovers.service_folder("killed"):
    print("ready", flush=True)
    sys.stdin.read()
"""


async def test_a_folder_stays_while_its_owner_lives_and_no_server_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "fastest_place", lambda: tmp_path)
    killed = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLDS_A_FOLDER, str(tmp_path)),
        cwd=PROJECT_ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert killed.stdout is not None
    assert await killed.stdout.readline() == b"ready\n"
    with service_folder("living") as living:
        async with claim(living / "postgres"):
            pass  # a server that has been stopped
        remove_dead_folders(tmp_path, older_than=-1)
        while_both_live = names_in(tmp_path)
        killed.kill()
        await killed.communicate()

        remove_dead_folders(tmp_path, older_than=-1)

        assert len(while_both_live) == 2
        assert names_in(tmp_path) == [living.name]
    assert names_in(tmp_path) == []


async def test_who_calls_at_a_reserved_port_is_refused_until_its_server_listens(own_port: int) -> None:
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", own_port)

    for _ in range(2):  # and once more, after its end
        async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", own_port):
            _, writer = await asyncio.open_connection("127.0.0.1", own_port)
            writer.close()
            await writer.wait_closed()


def test_a_reserved_port_is_given_to_nobody_else() -> None:
    with reserved_port() as port, socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
        other.bind(("127.0.0.1", port))  # as the system asks itself, when it looks for a free one
