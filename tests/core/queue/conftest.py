"""A queue on a database of the test's own, with its waker running."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.core.database import Database
from app.core.queue import Queue, open_queue


@pytest.fixture
async def queue(db: Database) -> AsyncIterator[Queue]:
    async with open_queue(db) as opened:
        yield opened
