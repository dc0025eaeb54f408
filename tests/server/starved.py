"""How long processes waited for a processor that others had: what a busy machine adds to all that they do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic

PACE = 0.05  # seconds between looks


class Starved:
    """`total` are the seconds of waiting, `worst` those within any one second."""

    def __init__(self, *pids: int) -> None:
        self.pids = (*pids, os.getpid())
        self._seen: list[tuple[float, float]] = []
        self.look()

    def look(self) -> None:
        self._seen.append((monotonic(), sum(map(_waited, self.pids))))

    @property
    def total(self) -> float:
        return self._seen[-1][1] - self._seen[0][1]

    @property
    def worst(self) -> float:
        seen = self._seen
        return max(later[1] - then[1] for then in seen for later in seen if then[0] <= later[0] <= then[0] + 1)


def _waited(pid: int) -> float:
    """The second number (ns) of a process's schedstat; 0 where the kernel keeps none, or the process has ended."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


@asynccontextmanager
async def watch_starved(*pids: int) -> AsyncIterator[Starved]:
    """Look again and again, at these and at this process, for as long as the block runs."""
    starved = Starved(*pids)

    async def look() -> None:
        while True:
            await asyncio.sleep(PACE)
            starved.look()

    looking = asyncio.create_task(look())
    try:
        yield starved
    finally:
        looking.cancel()
        starved.look()
