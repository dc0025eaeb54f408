"""`/api/v1/api-keys`: The API keys of whoever calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast
from uuid import UUID

from msgspec import Meta
from quart import Blueprint, current_app

from app.features.identity.errors import KeyIsOver, KeyIsRotated, NoSuchKey, TooManyKeys
from app.features.identity.permissions import offered_by
from app.features.identity.service import keys
from app.features.identity.service.keys import NEWEST, ApiKey, MadeKey, NewKey
from app.features.identity.visitors import visitor
from app.web import (
    KIB,
    MINUTE,
    SIGNED_IN,
    Application,
    By,
    Limit,
    Page,
    PageQuery,
    current_caller,
    decode_cursor,
    endpoint,
    page_of,
    resources,
)

routes = Blueprint("api_keys", __name__, url_prefix="/api/v1/api-keys")

# For people: a key that could make keys would outlive its own revocation. And the answer that an Idempotency-Key would
# store would hold a secret.
POLICY = SIGNED_IN.but(idempotency=False)
MAKING = POLICY.but(limits=(Limit(60, MINUTE, By.CALLER),), body=16 * KIB)
NO_STORE = {"Cache-Control": "no-store"}
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Rotation:
    """How a key is handed over to its successor."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=30 * DAY, description="How long both hold.")] = DAY


@dataclass(frozen=True)
class ShownKey(ApiKey):
    """A key that was just made, with the key itself, which is shown this once."""

    key: str


@routes.get("")
@endpoint(POLICY, answers={200: Page[ApiKey]})
async def list_keys(query: PageQuery) -> Page[ApiKey]:
    """List your API keys, newest first.

    Those that are over, too; never the keys themselves, of which nothing but a hash is stored.
    """
    (before,) = (NEWEST,) if query.cursor is None else decode_cursor(query.cursor, (UUID,))
    found = await keys.list_keys(resources().database, _user_id(), before=before, limit=query.limit + 1)
    return page_of(found, query.limit, key=lambda key: (key.id,))


@routes.post("")
@endpoint(MAKING, answers={201: ShownKey}, errors=(TooManyKeys,))
async def create(body: NewKey) -> tuple[ShownKey, int, dict[str, str]]:
    """Make an API key.

    The key is in this answer and never shown again. It opens the operations that ask for one of its permissions, as far
    as its owner may call them, and no others.
    """
    made = await keys.create_key(
        resources(),
        _user_id(),
        body,
        offered=offered_by(cast(Application, current_app)),
        by=_user_id(),
        visitor=visitor(),
    )
    return _shown(made), 201, NO_STORE


@routes.post("/<uuid:key_id>/rotate")
@endpoint(MAKING, answers={201: ShownKey}, errors=(NoSuchKey, KeyIsRotated, KeyIsOver, TooManyKeys))
async def rotate(key_id: UUID, body: Rotation) -> tuple[ShownKey, int, dict[str, str]]:
    """Make the successor of an API key.

    It may do the same, and lasts as long. Both hold for `overlap_seconds`, then only the new one, which is in this
    answer and never shown again.
    """
    made = await keys.rotate_key(
        resources(), _user_id(), key_id, overlap=body.overlap_seconds, by=_user_id(), visitor=visitor()
    )
    return _shown(made), 201, NO_STORE


@routes.delete("/<uuid:key_id>")
@endpoint(POLICY, answers={204: None}, errors=(NoSuchKey,))
async def revoke(key_id: UUID) -> tuple[str, int]:
    """Revoke an API key.

    At once and for good; its sockets are closed.
    """
    await keys.revoke_key(resources(), _user_id(), key_id, by=_user_id(), visitor=visitor())
    return "", 204


def _user_id() -> UUID:
    return UUID(current_caller().id)


def _shown(made: MadeKey) -> ShownKey:
    return ShownKey(**vars(made.fact), key=made.text)
