"""What a revision calls to build or drop an index while the table stays open for writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op
from sqlalchemy import text

LEFTOVER = text("SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid)")


def build_index(name: str, on: str, *, unique: bool = False) -> None:
    """Build index `name` on `on`, e.g. `users (created_at)` or `tasks (run_at) WHERE status = 'pending'`.

    May be run again after it was interrupted: a half-built (INVALID) index of that name is dropped and built
    anew, a finished one is kept. Give such an index a revision of its own, because everything the revision
    did before is committed first.
    """
    kind = "UNIQUE INDEX" if unique else "INDEX"
    with _outside_transaction():
        if op.get_bind().scalar(LEFTOVER, {"name": name}):
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {on}")


def drop_index(name: str) -> None:
    """Drop index `name` while the table stays open for writing; nothing to do when it is gone already."""
    with _outside_transaction():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


@contextmanager
def _outside_transaction() -> Iterator[None]:
    with op.get_context().autocommit_block():
        # A concurrent build waits for every older transaction to end, which hinders nobody. lock_timeout
        # counts that wait too, and would leave a half-built index behind each report that runs for longer.
        op.execute("SET lock_timeout = 0")
        try:
            yield
        finally:
            op.execute("RESET lock_timeout")
