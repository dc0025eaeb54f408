"""Tasks with an order wait until they are the first of their key; then they are pending like any other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import asyncpg
from sqlalchemy import Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, INTEGER

from app.core.database import Database, Row, Statement

LOOKS = 20  # so many refusals in a row are no accident

# What is retried comes before those that have gone ahead of it, so the first of a key may have to wait for a later one.
# To be run after the commit of what has changed the key, with a snapshot of its own: whichever of two changes commits
# last, its look sees both (docs/decisions/0008).
# All looks lock in the order of ids: two of them that meet in many keys would end in a deadlock otherwise.
PROMOTE = Statement(
    text("""
WITH chosen AS MATERIALIZED (
    SELECT tasks.id FROM tasks WHERE status = 'waiting' AND id = ANY (ARRAY(
        SELECT first.id FROM unnest(CAST(:keys AS text[])) AS changed (order_key) CROSS JOIN LATERAL (
            SELECT id FROM tasks WHERE tasks.order_key = changed.order_key ORDER BY order_position, id LIMIT 1
        ) AS first WHERE NOT EXISTS (
            SELECT FROM tasks AS active WHERE active.order_key = changed.order_key AND active.status <> 'waiting')
    )) ORDER BY id FOR NO KEY UPDATE
)
UPDATE tasks SET status = 'pending' WHERE id = ANY (ARRAY(SELECT id FROM chosen)) RETURNING id
""").bindparams(bindparam("keys", type_=ARRAY(Text))),
    name="promote_tasks",
)

# The net: a process that ended between its commit and its look has promoted nobody. It steps from key to key in the
# index: what it costs depends on the number of keys, and not on how much waits behind each.
PROMOTE_ALL = Statement(
    text("""
WITH RECURSIVE known AS (
    (SELECT order_key FROM tasks WHERE order_key IS NOT NULL ORDER BY order_key LIMIT 1)
    UNION ALL
    SELECT (SELECT tasks.order_key FROM tasks WHERE tasks.order_key > known.order_key ORDER BY tasks.order_key LIMIT 1)
    FROM known WHERE known.order_key IS NOT NULL
), chosen AS MATERIALIZED (
    SELECT tasks.id FROM tasks WHERE status = 'waiting' AND id = ANY (ARRAY(
        SELECT first.id FROM known CROSS JOIN LATERAL (
            SELECT id, status FROM tasks WHERE tasks.order_key = known.order_key ORDER BY order_position, id LIMIT 1
        ) AS first WHERE first.status = 'waiting' AND NOT EXISTS (
            SELECT FROM tasks AS active WHERE active.order_key = known.order_key AND active.status <> 'waiting')
        LIMIT :limit
    )) ORDER BY id FOR NO KEY UPDATE
)
UPDATE tasks SET status = 'pending' WHERE id = ANY (ARRAY(SELECT id FROM chosen)) RETURNING id
""").bindparams(bindparam("limit", type_=INTEGER)),
    name="promote_all_tasks",
)


async def promote(db: Database, keys: Sequence[str]) -> int:
    """Let the first of each key run, if it waits; gives how many did. Never inside a transaction."""
    values = {"keys": list(keys)}
    return await _promoted(lambda: db.fetch_all(PROMOTE, values)) if keys else 0


async def promote_all(db: Database, *, limit: int = 1000) -> int:
    """The same for every key; gives how many were found."""
    return await _promoted(lambda: db.fetch_all(PROMOTE_ALL, {"limit": limit}))


async def _promoted(look: Callable[[], Awaitable[list[Row]]]) -> int:
    """Two looks at once may choose two tasks of one key; the database refuses the second, which looks again.

    Each refusal means that another look has committed, which this one's next snapshot sees.
    """
    for _ in range(LOOKS - 1):
        with suppress(asyncpg.UniqueViolationError):
            return len(await look())
    return len(await look())
