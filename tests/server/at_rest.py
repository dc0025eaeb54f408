"""What a process holds once nothing comes or goes: a look at any moment would count what is only under way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.harness.app_process import AppProcess
from tests.harness.processes import census
from tests.harness.waiting import eventually

T = TypeVar("T")

STILL = 10  # looks in a row, a hundredth of a second apart, that see the same
# As many as two probes of a service need: one that misses its deadline closes its connection, the next one opens it.
TWO_PROBES = 100


async def at_rest(look: Callable[[], Awaitable[T]], *, still: int = STILL) -> T:
    """What `look` sees `still` times in a row."""
    seen: list[T] = []

    async def is_quiet() -> bool:
        seen.append(await look())
        return len(seen) >= still and all(each == seen[-1] for each in seen[-still:])

    await eventually(is_quiet, within=10)
    return seen[-1]


async def files_at_rest(app: AppProcess) -> int:
    """How many files and connections it keeps open, those to services among them."""

    async def look() -> int:
        return census(app.pid).files

    return await at_rest(look, still=TWO_PROBES)
