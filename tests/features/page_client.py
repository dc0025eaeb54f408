"""The client of /ws inside a tab, told what to do and asked what its page has been told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.harness.browser import Page, browser_page
from tests.harness.waiting import eventually

# Every callback writes a line: ["state", "open", {...}], ["event", topic, data, seq], ["resync", topic], ...
CONNECT = """(async () => {
  const { connect } = await import("/static/realtime.js");
  window.told = [];
  window.moments = []; // of the states, in ms
  const tell = (kind) => (...given) => { window.told.push([kind, ...given]); };
  window.realtime = connect({
    onEvent: tell("event"), onResync: tell("resync"), onError: tell("error"), resyncSpread: 0,
    onState(...given) {
      window.moments.push(performance.now());
      tell("state")(...given);
    },
    ...%s,
  });
})()"""

# Timers and the clock of the page run so many times faster.
HASTE = """(() => {
  const [wait, now] = [window.setTimeout.bind(window), performance.now.bind(performance)];
  window.setTimeout = (action, delay = 0, ...rest) => wait(action, delay / %(times)s, ...rest);
  performance.now = () => now() * %(times)s;
})()"""

# What is still to come: timers that were set, and neither ran nor were cleared.
COUNT_TIMERS = """(() => {
  window.due = new Map(); // id -> {action, delay}
  const [wait, clear] = [window.setTimeout.bind(window), window.clearTimeout.bind(window)];
  window.setTimeout = (action, delay) => {
    const id = wait(() => { window.due.delete(id); action(); }, delay);
    window.due.set(id, { action, delay });
    return id;
  };
  window.clearTimeout = (id) => { window.due.delete(id); clear(id); };
})()"""

# Those that `COUNT_TIMERS` has counted run now, as if their time were over.
RUN_TIMERS = """(() => {
  for (const [id, { action }] of [...window.due]) {
    clearTimeout(id);
    action();
  }
})()"""


class Client:
    """`told` is what the page's callbacks were given, in order."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def run(self, script: str) -> Any:
        """The script's value, awaited; its exception fails the test."""
        answer = await self.page.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def connect(self, options: str = "{}") -> None:
        """`options` are more of them, as JavaScript."""
        await self.run(CONNECT % options)

    async def told(self, kind: str = "") -> list[list[Any]]:
        told: list[list[Any]] = await self.run("window.told")
        return [line[1:] for line in told if line[0] == kind] if kind else told

    async def states(self) -> list[str]:
        return [state for state, _ in await self.told("state")]

    async def moment(self, number: int) -> float:
        """When the page came into its state of this number, in seconds of its own clock."""
        return float((await self.run("window.moments"))[number]) / 1000

    async def detail(self, state: str, *, time: int = -1) -> dict[str, Any]:
        """What was told with a state, the last time; `time` is 0 for the first."""
        found: dict[str, Any] = [detail for name, detail in await self.told("state") if name == state][time]
        return found

    async def reaches(self, *states: str, within: float = 20) -> None:
        """These states in this order, and no other."""

        async def there() -> bool:
            seen = await self.states()
            assert tuple(seen[: len(states)]) == states[: len(seen)], seen[-12:]
            return len(seen) >= len(states)

        await eventually(there, within=within)

    async def subscribe(self, topic: str) -> None:
        """All of its callbacks tell; `leave` ends it."""
        name = json.dumps(topic)
        await self.run(f"""
          window.leave = window.realtime.subscribe({name}, {{
            ready: (...given) => window.told.push(["ready", ...given]),
            event: (...given) => window.told.push(["own event", ...given]),
            resync: (...given) => window.told.push(["own resync", ...given]),
          }})
        """)


@asynccontextmanager
async def client_at(url: str, profile: Path) -> AsyncIterator[Client]:
    """A tab on the page `url`, of an origin that has the client."""
    async with browser_page(profile) as page:
        await page.open(url)
        arrived = f"location.href === '{url}' && document.readyState === 'complete'"
        await eventually(lambda: page.evaluate(arrived), within=30)
        yield Client(page)
