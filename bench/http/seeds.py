"""What lies in the database before anybody is asked: people, a key for each, and a page of items for each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from app.core.ids import new_id
from app.core.settings import Environment
from app.features.identity.service.key_form import FreshKey, make_key
from bench.http.feature import PAGE
from bench.http.tables import creation

NOTE = "Kept in the second drawer from above, beside the spare keys; ask before you take the last one. "


@dataclass(frozen=True)
class Seeds:
    """`tokens` are good, one a person; the other two were. `owner` is whose the first token is."""

    tokens: tuple[str, ...]
    owner: UUID
    expired: str
    inactive: str


async def sow(connection: asyncpg.Connection, *, people: int) -> Seeds:
    """Into a migrated database without people."""
    await connection.execute(creation())
    users = [new_id() for _ in range(people + 1)]
    keys = [make_key(Environment.TESTING) for _ in range(people + 2)]
    await _insert_users(connection, users)
    await connection.execute("UPDATE users SET is_active = false WHERE id = $1", users[-1])
    # A key for each, the last one's too; and one more for the first, which is over.
    await _insert_keys(connection, list(zip(keys, [*users, users[0]], strict=True)))
    await connection.execute(
        "UPDATE api_keys SET expires_at = $1 WHERE key_hash = $2", datetime.now(UTC) - timedelta(days=1), keys[-1].hash
    )
    await _insert_items(connection, users)
    return Seeds(tuple(key.text for key in keys[:people]), users[0], keys[-1].text, keys[-2].text)


async def _insert_users(connection: asyncpg.Connection, users: list[UUID]) -> None:
    await connection.executemany(
        "INSERT INTO users (id, email, name) VALUES ($1, $2, $3)",
        [(id_, f"person{number}@example.org", f"Person {number}") for number, id_ in enumerate(users)],
    )


async def _insert_keys(connection: asyncpg.Connection, keys: list[tuple[FreshKey, UUID]]) -> None:
    await connection.executemany(
        "INSERT INTO api_keys (name, key_prefix, key_hash, created_by, permissions) VALUES ('bench', $1, $2, $3, $4)",
        [(key.prefix, key.hash, owner, '["items:read", "items:write"]') for key, owner in keys],
    )


async def _insert_items(connection: asyncpg.Connection, users: list[UUID]) -> None:
    """Everybody's first, then everybody's second: as over time, a page's rows are not neighbours on the disk."""
    await connection.executemany(
        "INSERT INTO items (id, owner, title, payload) VALUES ($1, $2, $3, $4)",
        [(new_id(), owner, f"Item {number}", json.dumps(payload(number))) for number in range(PAGE) for owner in users],
    )


def payload(number: int) -> dict[str, Any]:
    return {"quantity": number + 1, "tags": ["tools", "kitchen", f"shelf-{number}"], "note": NOTE}
