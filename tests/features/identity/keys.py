"""API keys for the tests of identity, written straight into the table: no route, no limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.core.database import Database
from app.core.settings import Environment
from app.features.identity.service.key_form import make_key
from tests.features.identity.people import Person


@dataclass(frozen=True)
class Key:
    """A key in the database; `text` is what its machine holds."""

    id: UUID
    text: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.text}"}


async def give_key(db: Database, owner: Person, *permissions: Any, ends_in: float | None = None) -> Key:
    """`ends_in` is in seconds."""
    fresh = make_key(Environment.TESTING)
    key_id = await db.fetch_val(
        "INSERT INTO api_keys (name, key_prefix, key_hash, created_by, permissions, expires_at)"
        " VALUES ('made for a test', :prefix, :hash, :owner, :permissions,"
        " now() + CAST(:ends_in AS double precision) * interval '1 second') RETURNING id",
        {
            "prefix": fresh.prefix,
            "hash": fresh.hash,
            "owner": owner.id,
            "permissions": [*permissions],
            "ends_in": ends_in,
        },
    )
    return Key(key_id, fresh.text)
