"""A numbered Redis database for each process of a run, which nobody else uses meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from redis import Redis

CLAIM_SECONDS = 3600  # a killed run's claim ends by itself


def at(server_url: str, database: int) -> str:
    return urlsplit(server_url)._replace(path=f"/{database}").geturl()


@contextmanager
def claim_database(server_url: str, run_id: str) -> Iterator[str]:
    """The URL of an unused database. Claims are kept in database 0, as other runs may share the server."""
    with Redis.from_url(at(server_url, 0)) as register:
        count = int(register.config_get("databases")["databases"])
        for number in range(1, count):
            key = f"plinth-test:database:{number}"
            if register.set(key, run_id, nx=True, ex=CLAIM_SECONDS):
                try:
                    yield at(server_url, number)
                finally:
                    register.delete(key)
                return
    pytest.fail(f"all {count} databases of the Redis at {urlsplit(server_url).hostname} are claimed by test runs")
