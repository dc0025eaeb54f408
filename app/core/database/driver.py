"""Every name of asyncpg and databases that is not public, and every trait of theirs that the pool leans on.

`tests/core/database/test_driver.py` fails when an upgrade changes one of them.
"""

from __future__ import annotations

from typing import Any

import asyncpg
import databases

# asyncpg brings no types; these names say what is meant.
RawConnection = Any
RawPool = Any


def pool_of(database: databases.Database) -> RawPool:
    """The asyncpg pool that `databases` has opened; None while not connected."""
    return database._backend._pool  # noqa: SLF001  (databases gives no public way)


def is_gone(raw: RawConnection) -> bool:
    """Whether the connection was closed, by either side, or has already been handed back."""
    try:
        return bool(raw.is_closed())
    except asyncpg.InterfaceError:
        return True  # the pool takes a closed connection back by itself and empties our handle
