"""A server that was forked is as good as one that has an interpreter of its own, and leaves as little behind."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import psutil
import pytest

from tests.harness import process_routes, warm
from tests.harness.fixtures import StartApp
from tests.harness.processes import alive, kill
from tests.harness.suite import Suite
from tests.harness.waiting import eventually

ROUTES = process_routes.__name__
HELD = """
import asyncio
from pathlib import Path

async def test_blocks(app_process):
    app = await app_process()
    Path(__file__).with_name("pid").write_text(str(app.pid))
    await asyncio.Event().wait()
"""

pytestmark = pytest.mark.skipif(not warm.CAN_FORK, reason="every server is started cold here")


async def test_a_forked_process_is_what_a_cold_one_is(app_process: StartApp) -> None:
    told = []
    for cold in True, False:
        app = await app_process("server.backlog=7", module=ROUTES, env={"MADE_UP": "1"}, cold=cold)
        told.append((await app.http.get("/test/process")).json())

    assert told[0] == told[1]


async def test_it_may_open_as_many_files_as_its_starter_at_that_moment(app_process: StartApp) -> None:
    soft, hard = before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    try:
        app = await app_process(module=ROUTES)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)

    assert (await app.http.get("/test/process")).json()["files"] == [soft - 1, hard]


async def test_two_processes_roll_other_dice(app_process: StartApp) -> None:
    first, second = [(await (await app_process(module=ROUTES)).http.get("/test/dice")).json() for _ in range(2)]

    assert first.keys() == second.keys()
    assert not set(first.values()) & set(second.values())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
async def test_it_hears_signals_and_tells_how_it_ended(
    app_process: StartApp, number: signal.Signals, code: int
) -> None:
    app = await app_process()

    app.signal(number)

    assert await app.wait(within=20) == code
    assert app.events("stopped" if code == 0 else "server_listening")


async def test_a_module_that_does_not_exist_ends_it_as_it_ends_an_interpreter(app_process: StartApp) -> None:
    with pytest.raises(AssertionError, match=r"(?s)the app ended with 1:.*No module named 'tests\.nowhere'"):
        await app_process(module="tests.nowhere")


async def test_it_leads_a_session_of_its_own_and_leaves_nothing_when_it_has_ended(app_process: StartApp) -> None:
    app = await app_process()
    template = psutil.Process(app.pid).parent()
    assert template is not None
    files = template.num_fds()

    own = os.getsid(app.pid)
    app.kill()
    await app.wait(within=20)

    assert own == app.pid
    assert app.pid not in [child.pid for child in template.children()]
    await eventually(lambda: template.num_fds() < files, within=5)


async def test_a_run_that_is_killed_leaves_neither_server_nor_template(tmp_path: Path) -> None:
    suite, pid = Suite(tmp_path, PLINTH_TEST_SERVICES="embedded"), tmp_path / "pid"
    suite.write("test_it.py", HELD)

    async with suite.started("-n0") as run:
        await eventually(lambda: pid.exists() and pid.read_text(), within=60)
        server = psutil.Process(int(pid.read_text()))
        template = server.parent()
        assert template is not None
        began = template.cmdline()[1:3] == ["-m", "tests.harness.template"] and alive(server.pid)
        kill(run.pid)
        await eventually(lambda: not alive(server.pid) and not alive(template.pid), within=20)

    assert began
