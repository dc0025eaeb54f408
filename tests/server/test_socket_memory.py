"""2,000 sockets of one process: what each costs, and what is left when they have gone."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest

from tests.harness.app_process import AppProcess
from tests.harness.crowd import Crowd
from tests.harness.engines import ENGINES_AND_LOOPS
from tests.harness.fixtures import StartApp
from tests.harness.waiting import eventually
from tests.server.at_rest import at_rest, files_at_rest

# Thousands of sockets: one such test at a time, or each would see the others' load.
pytestmark = pytest.mark.xdist_group("crowds")

CLIENTS = 2000
MOST = 45_000  # bytes of one socket, all in all
WARM_UP = 100  # sockets before the first look: what is loaded and filled once is not theirs
PATIENCE = 30.0  # seconds for what has no bound of its own
CREEP = 6 << 20  # bytes that a third crowd may cost beyond the second, which shows the allocator how much it needs
UNLIMITED = ("rate_limit.enabled=false", f"websocket.max_per_address={CLIENTS * 2}", "websocket.anonymous=true")


def rss(app: AppProcess) -> int:
    return psutil.Process(app.pid).memory_info().rss


async def settled(app: AppProcess) -> int:
    """How many tasks are left when nobody leaves any more."""

    async def look() -> int:
        tasks: int = (await app.http.get("/test/inside")).json()["tasks"]
        return tasks

    return await at_rest(look)


async def keeps_open(app: AppProcess, files: int) -> None:
    """Until it has so many, and keeps to it: none comes or goes with a probe."""

    async def same() -> bool:
        return await files_at_rest(app) == files

    await eventually(same, within=PATIENCE)


async def crowded(app: AppProcess, clients: int = CLIENTS) -> Crowd:
    """All of them, each hearing what is pushed."""
    crowd = Crowd(app.url, ready=b'"subscribed"')
    await crowd.join(clients)
    return crowd


@ENGINES_AND_LOOPS
async def test_a_socket_costs_at_most_45_kb_and_leaves_nothing(
    app_process: StartApp, loop: str, figure: Callable[[str], None]
) -> None:
    app = await app_process(*UNLIMITED, f"server.event_loop={loop}", cold=True)
    await (await crowded(app, WARM_UP)).leave()
    tasks_before = await settled(app)  # over a connection that stays open from here on
    rss_before, files_before = rss(app), await files_at_rest(app)

    crowd = await crowded(app)
    first = rss(app)
    await keeps_open(app, files_before + CLIENTS)
    await crowd.leave()
    tasks_between = await settled(app)
    crowd = await crowded(app)
    second = rss(app)
    await crowd.leave()
    crowd = await crowded(app)
    third = rss(app)
    await crowd.leave()
    tasks_after = await settled(app)

    each = (first - rss_before) / CLIENTS
    figure(f"a socket, {CLIENTS:,} of them on {loop}: {each:,.0f} bytes")
    await keeps_open(app, files_before)
    assert tasks_after == tasks_between == tasks_before
    assert each <= MOST
    assert third - second <= CREEP
