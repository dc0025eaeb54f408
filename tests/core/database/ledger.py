"""Twenty clients that write to a ledger while the server is broken, and remember what they were told."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from app.core.database import Database, translate
from app.core.errors import ServiceUnavailable

# No unique constraint: a write that happened twice has to show.
CREATE = "CREATE TABLE ledger (entry text NOT NULL)"
WRITE = "INSERT INTO ledger (entry) VALUES (:entry)"


@dataclass
class Clients:
    """`acknowledged` writes were answered with success; each entry is sent once, whatever happens to it."""

    db: Database
    number: int = 20
    acknowledged: list[str] = field(default_factory=list)
    by_client: Counter[int] = field(default_factory=Counter)
    troubles: int = 0
    longest: float = 0.0
    _stopping: bool = False

    async def __aenter__(self) -> Clients:
        self._group = asyncio.TaskGroup()
        await self._group.__aenter__()
        for client in range(self.number):
            self._group.create_task(self._run(client))
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._stopping = True
        async with asyncio.timeout(15):  # none may hang
            await self._group.__aexit__(None, None, None)

    def everybody_wrote_since(self, before: Counter[int]) -> bool:
        return all(self.by_client[client] > before[client] + 2 for client in range(self.number))

    async def _run(self, client: int) -> None:
        for turn in range(1_000_000):
            if self._stopping:
                return
            entry = f"{client}/{turn}"
            started = time.monotonic()
            try:
                await (self._in_transaction(entry) if turn % 2 else self.db.execute(WRITE, {"entry": entry}))
            except Exception as error:
                if not isinstance(translate(error), ServiceUnavailable):
                    raise
                self.troubles += 1
            else:
                self.acknowledged.append(entry)
                self.by_client[client] += 1
            self.longest = max(self.longest, time.monotonic() - started)

    async def _in_transaction(self, entry: str) -> None:
        async with self.db.transaction():
            await self.db.execute(WRITE, {"entry": entry})

    async def assert_each_acknowledged_write_happened_once(self) -> None:
        written = Counter(row["entry"] for row in await self.db.fetch_all("SELECT entry FROM ledger"))
        assert len(self.acknowledged) > 100
        assert [entry for entry in self.acknowledged if written[entry] != 1] == []
        assert [entry for entry, times in written.items() if times > 1] == []
