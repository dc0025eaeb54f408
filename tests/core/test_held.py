"""What a feature keeps as long as the process: one of each kind, and all of them closed at the end."""

from __future__ import annotations

import pytest

from app.core.held import Held
from app.core.lifecycle import Lifecycle
from app.core.resources import open_resources
from tests.harness.settings import TestSettings


class Pool:
    """Notes its end in a list that it shares with others."""

    def __init__(self, ended: list[str]) -> None:
        self.ended = ended

    async def close(self) -> None:
        self.ended.append(type(self).__name__)


class Keys(Pool):
    """Another kind."""


class Broken(Pool):
    """Its end fails."""

    async def close(self) -> None:
        await super().close()
        raise OSError("it is stuck")


def test_it_is_made_once_for_each_kind() -> None:
    held, ended = Held(), list[str]()

    first, again = (held.obtain(Pool, lambda: Pool(ended)) for _ in range(2))
    other = held.obtain(Keys, lambda: Keys(ended))

    assert first is again
    assert type(other) is Keys


def test_two_processes_share_nothing() -> None:
    ended: list[str] = []

    one, other = (Held().obtain(Pool, lambda: Pool(ended)) for _ in range(2))

    assert one is not other


async def test_the_youngest_ends_first_and_one_that_fails_keeps_none_open() -> None:
    held, ended = Held(), list[str]()
    for kind in (Pool, Broken, Keys):
        held.obtain(kind, lambda kind=kind: kind(ended))  # type: ignore[misc]  # bound here, not later

    await held.close()

    assert ended == ["Keys", "Broken", "Pool"]


async def test_what_was_never_obtained_is_not_made_to_be_closed() -> None:
    await Held().close()


@pytest.mark.parametrize("fails", [False, True])
async def test_it_ends_with_the_resources_while_the_database_is_open(settings: TestSettings, *, fails: bool) -> None:
    """A pool of threads may still have something to store."""
    ended: list[str] = []

    class Last(Pool):
        async def close(self) -> None:
            ended.append(await resources.database.fetch_val("SELECT 'stored'"))

    async def use() -> None:
        resources.held.obtain(Last, lambda: Last(ended))
        if fails:
            raise RuntimeError("on the way")

    try:
        async with open_resources(settings(), Lifecycle()) as resources:
            await use()
    except RuntimeError:
        assert fails

    assert ended == ["stored"]
