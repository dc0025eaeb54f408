"""API keys: for machines, made by people, good for what they were given and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from app.core.callers import ADMIN_ROLE, Caller
from app.core.database import Database, Row
from app.core.errors import Unauthorized, ValidationFailed
from app.core.resources import Resources
from app.features.identity.errors import KeyIsOver, KeyIsRotated, NoSuchKey, NoSuchUser, TooManyKeys
from app.features.identity.events import KEY_CREATED, KEY_REVOKED, KEY_ROTATED
from app.features.identity.models import Proof, Visitor, credential
from app.features.identity.repository import api_keys
from app.features.identity.service import key_form
from app.features.identity.service.audit import NOWHERE, record
from app.features.identity.tasks import CLOSE_ENDED_KEY, KeyEnd

MOST_KEYS = 100  # of one person that hold at a time
LONGEST_LIFE = timedelta(days=3653)  # ten years
NEWEST = UUID(int=2**128 - 1)  # behind every id: where a list begins

Moment = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$", description="For people.")]
Permission = Annotated[str, Meta(max_length=100)]


@dataclass(frozen=True)
class NewKey:
    """What a key is made of; `permissions` are those that it opens operations with, as these name them."""

    name: Name
    permissions: Annotated[list[Permission], Meta(max_length=100)]
    expires_at: Annotated[datetime | None, Meta(description="Without one it holds until it is revoked.")] = None


@dataclass(frozen=True)
class ApiKey:
    """One key, as its owner sees it: never the key itself.

    `prefix` is how it begins, to tell keys apart. It holds until `revoked_at` or `expires_at`, if one is there;
    `replaced_by` is the key that it was rotated to.
    """

    id: UUID
    name: str
    prefix: str
    permissions: list[str]
    expires_at: Moment | None
    last_used_at: Moment | None
    revoked_at: Moment | None
    replaced_by: UUID | None
    created_at: Moment


@dataclass(frozen=True)
class OwnedKey(ApiKey):
    """The same for operators, with whose it is."""

    owner: str


@dataclass(frozen=True)
class MadeKey:
    """What a key is and, this once, the key itself."""

    fact: ApiKey
    text: str


@dataclass(frozen=True)
class Offered:
    """The permissions that some route asks for: those that anybody may give, and those of administrators' routes."""

    to_all: frozenset[str]
    to_admins: frozenset[str]

    def to(self, role: str) -> frozenset[str]:
        return self.to_all | self.to_admins if role == ADMIN_ROLE else self.to_all


def is_key(token: str) -> bool:
    """Whether it is meant to be a key; says nothing of whether it holds."""
    return key_form.is_marked(token)


async def caller_of(resources: Resources, token: str) -> Caller:
    """Whose key this is; one statement, and none for what can't be a key. Raises `Unauthorized`.

    The role is the owner's of this moment, not of the one when the key was made.
    """
    if not key_form.is_well_formed(token):
        raise Unauthorized
    row = await api_keys.select_key_caller(resources.database, key_form.hash_of(token))
    if row is None:
        raise Unauthorized
    return Caller(
        str(row["user_id"]),
        row["role"],
        permissions=frozenset(row["permissions"]),
        credential=credential(Proof.KEY, row["id"]),
        expires_at=row["expires_at"],
    )


async def holding(db: Database, ids: Sequence[UUID]) -> Collection[UUID]:
    """Those that still hold; one statement."""
    return await api_keys.select_holding_keys(db, ids)


async def list_keys(db: Database, user_id: UUID, *, before: UUID = NEWEST, limit: int) -> list[ApiKey]:
    """Newest first, those that are over, too."""
    return [key_of(row) for row in await api_keys.select_keys_of_user(db, user_id, before=before, most=limit)]


async def create_key(
    resources: Resources,
    user_id: UUID,
    asked: NewKey,
    *,
    offered: Offered,
    by: UUID | None,
    visitor: Visitor = NOWHERE,
) -> MadeKey:
    """Raises `ValidationFailed` for permissions that the user may not give and an end that is none, `TooManyKeys`."""
    _check_end(asked.expires_at, resources.clock.now())
    async with resources.database.transaction():
        role = await _lock_owner(resources.database, user_id)
        _check_permissions(asked.permissions, offered.to(role))
        made = await _insert(resources, user_id, asked)
        await record(resources, KEY_CREATED, user_id, by=by, visitor=visitor, about=made.fact.id)
    return made


async def rotate_key(
    resources: Resources,
    user_id: UUID,
    key_id: UUID,
    *,
    overlap: float,
    by: UUID | None,
    visitor: Visitor = NOWHERE,
) -> MadeKey:
    """A successor that may do the same, for as long; both hold for `overlap` seconds.

    Raises `NoSuchKey`, `KeyIsRotated`, `KeyIsOver`, `TooManyKeys`.
    """
    async with resources.database.transaction():
        await _lock_owner(resources.database, user_id)
        row = await _lock_key(resources.database, key_id, user_id)
        _check_rotatable(row)
        ends = _successor_ends(row, resources.clock.now())
        made = await _insert(resources, user_id, NewKey(row["name"], row["permissions"], ends))
        over = await api_keys.update_rotated(resources.database, key_id, successor=made.fact.id, overlap=overlap)
        # Its open sockets know the end that it had before.
        await resources.queue.enqueue(CLOSE_ENDED_KEY, KeyEnd(user_id, key_id), run_at=over)
        await record(resources, KEY_ROTATED, user_id, by=by, visitor=visitor, about=key_id)
    if overlap <= 0:
        await resources.realtime.disconnect(str(user_id), credential(Proof.KEY, key_id))
    return made


async def close_ended(resources: Resources, end: KeyEnd) -> None:
    """Close its sockets on every instance, unless it holds after all."""
    if not await holding(resources.database, [end.key_id]):
        await resources.realtime.disconnect(str(end.user_id), credential(Proof.KEY, end.key_id))


async def revoke_key(
    resources: Resources, user_id: UUID, key_id: UUID, *, by: UUID | None, visitor: Visitor = NOWHERE
) -> None:
    """From now on it opens nothing, and its sockets are closed on every instance. Raises `NoSuchKey`."""
    async with resources.database.transaction():
        row = await _lock_key(resources.database, key_id, user_id)
        if row["revoked_at"] is None:
            await api_keys.update_revoked(resources.database, key_id)
            await record(resources, KEY_REVOKED, user_id, by=by, visitor=visitor, about=key_id)
    await resources.realtime.disconnect(str(user_id), credential(Proof.KEY, key_id))


async def list_owned_keys(db: Database, *, email: str | None, before: UUID = NEWEST, limit: int) -> list[OwnedKey]:
    """Newest first; without an address, everybody's. Raises `NoSuchUser`."""
    if email is not None:
        await user_of_email(db, email)
    rows = await api_keys.select_keys(db, email=_normal(email), before=before, most=limit)
    return [OwnedKey(**vars(key_of(row)), owner=row["email"]) for row in rows]


async def user_of_email(db: Database, email: str) -> UUID:
    """Raises `NoSuchUser`."""
    found = await api_keys.select_owner(db, _normal(email) or "")
    if found is None:
        raise NoSuchUser(f"There is no user {email}.")
    return found


async def owner_of(db: Database, key_id: UUID) -> UUID:
    """For operators, who may name anybody's key. Raises `NoSuchKey`."""
    found = await api_keys.select_key_owner(db, key_id)
    if found is None:
        raise NoSuchKey
    return found


def key_of(row: Row) -> ApiKey:
    names = ("expires_at", "last_used_at", "revoked_at", "replaced_by", "created_at")
    return ApiKey(row["id"], row["name"], row["key_prefix"], row["permissions"], *(row[name] for name in names))


def _normal(email: str | None) -> str | None:
    return email and email.strip().lower()


async def _insert(resources: Resources, user_id: UUID, asked: NewKey) -> MadeKey:
    if await api_keys.count_holding_keys(resources.database, user_id) >= MOST_KEYS:
        raise TooManyKeys
    fresh = key_form.make_key(resources.settings.environment)
    row = await api_keys.insert_key(
        resources.database,
        user_id=user_id,
        name=asked.name,
        key_prefix=fresh.prefix,
        key_hash=fresh.hash,
        permissions=sorted(set(asked.permissions)),
        expires_at=asked.expires_at,
    )
    return MadeKey(key_of(row), fresh.text)


async def _lock_owner(db: Database, user_id: UUID) -> str:
    role = await api_keys.lock_key_owner(db, user_id)
    if role is None:  # deactivated since the request came
        raise Unauthorized
    return role


async def _lock_key(db: Database, key_id: UUID, user_id: UUID) -> Row:
    row = await api_keys.lock_key(db, key_id, user_id)
    if row is None:
        raise NoSuchKey
    return row


def _check_rotatable(row: Row) -> None:
    if not row["holds"]:
        raise KeyIsOver
    if row["replaced_by"] is not None:
        raise KeyIsRotated


def _successor_ends(row: Row, now: datetime) -> datetime | None:
    """As long from now as its predecessor was to last."""
    created_at: datetime = row["created_at"]
    expires_at: datetime | None = row["expires_at"]
    return None if expires_at is None else now + (expires_at - created_at)


def _check_end(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and not now < expires_at <= now + LONGEST_LIFE:
        raise ValidationFailed({"expires_at": ["must lie in the future, and at most ten years away"]})


def _check_permissions(given: Sequence[str], allowed: Collection[str]) -> None:
    """What no route asks for is refused, and what is for administrators only where the owner is none."""
    known = ", ".join(sorted(allowed)) or "none"
    faults = {
        f"permissions[{at}]": [f"is none that you may give; there are: {known}"]
        for at, each in enumerate(given)
        if each not in allowed
    }
    if faults:
        raise ValidationFailed(faults)
