"""What the leak tests do to a pool, and how they tell whether it has survived."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import databases

Work = Callable[[], Awaitable[object]]


async def cancel_at_random(work: Work, *, cuts: int, parallel: int, longest: float, dice: random.Random) -> int:
    """Start tasks and cancel each after up to `longest` seconds, until `cuts` were cut off; how many were started."""
    started = cut = 0

    async def client() -> None:
        nonlocal started, cut
        while cut < cuts:
            started += 1
            task = asyncio.ensure_future(work())
            asyncio.get_running_loop().call_later(dice.random() * longest, task.cancel)
            await asyncio.wait({task})
            cut += task.cancelled()

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(parallel):
            group.create_task(client())
    return started


async def time_out_in_one_task(work: Work, *, cuts: int, longest: float, dice: random.Random) -> int:
    """Give `work` up to `longest` seconds in a task that lives on, until `cuts` were cut off; how many were started."""
    started = cut = 0
    while cut < cuts:
        started += 1
        try:
            async with asyncio.timeout(dice.random() * longest):
                await work()
        except TimeoutError:
            cut += 1
    return started


async def usable_at_once(db: databases.Database, *, wanted: int, within: float) -> int:
    """How many connections can be held and used at the same time; what the others met is printed."""
    usable = 0
    everybody = asyncio.Event()

    async def hold() -> None:
        nonlocal usable
        async with db.connection() as connection:
            one = await connection.fetch_val("SELECT 1")
            usable += one
            if usable == wanted:
                everybody.set()
            await everybody.wait()

    tasks = [asyncio.create_task(hold()) for _ in range(wanted)]
    done, waiting = await asyncio.wait(tasks, timeout=within)
    for task in waiting:
        task.cancel()
    await asyncio.wait(tasks, timeout=within)
    for task in done:
        if error := task.exception():
            print(f"not usable: {error!r} caused by {error.__cause__!r}")  # noqa: T201  (shown where a test fails)
    return usable


async def is_whole(db: databases.Database, *, wanted: int) -> bool:
    """For `eventually`: an opening may meet the end of a fault, but what is open stays, and a lost slot stays lost."""
    return await usable_at_once(db, wanted=wanted, within=2) == wanted
