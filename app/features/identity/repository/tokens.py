"""The statements about tokens: what a request with an access token costs is the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Double,
    Uuid,
    any_,
    bindparam,
    false,
    func,
    insert,
    literal_column,
    null,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from app.core.database import TIMESTAMP, Database, Row, Statement
from app.core.ids import new_id
from app.core.settings.sections import Jwt
from app.features.identity.repository.users import HAS_SECOND_FACTOR
from app.features.identity.tables import jwt_tokens, users

_owner = jwt_tokens.join(users, users.c.id == jwt_tokens.c.user_id)
_holds = (jwt_tokens.c.revoked.is_(false()), jwt_tokens.c.expires_at > func.now(), users.c.is_active)
_access = jwt_tokens.alias("access")


def _seconds(name: str) -> ColumnElement[datetime]:
    return bindparam(name, type_=Double) * literal_column("interval '1 second'")


SELECT_BEARER = Statement(
    select(users.c.id, users.c.role, HAS_SECOND_FACTOR, jwt_tokens.c.family_id, jwt_tokens.c.expires_at)
    .select_from(_owner)
    .where(
        jwt_tokens.c.jti == bindparam("jti", type_=Uuid),
        jwt_tokens.c.user_id == bindparam("user_id", type_=Uuid),
        jwt_tokens.c.family_id == bindparam("family_id", type_=Uuid),
        jwt_tokens.c.token_type == literal_column("'access'"),
        *_holds,
    ),
    name="select_bearer",
)
SELECT_HOLDING_FAMILIES = Statement(
    select(jwt_tokens.c.family_id)
    .distinct()
    .select_from(_owner)
    .where(jwt_tokens.c.family_id == any_(bindparam("ids", type_=ARRAY(Uuid))), *_holds),
    name="select_holding_families",
)
SELECT_FAMILY = Statement(
    select(jwt_tokens.c.family_id, jwt_tokens.c.user_id).where(jwt_tokens.c.jti == bindparam("jti", type_=Uuid)),
    name="select_family",
)
# The clock and not the start of the transaction, which may have waited for the one that used the token first.
LOCK_REFRESH_TOKEN = Statement(
    select(
        *(jwt_tokens.c.family_id, jwt_tokens.c.expires_at, jwt_tokens.c.revoked, jwt_tokens.c.replaced_by),
        (func.clock_timestamp() < jwt_tokens.c.revoked_at + _seconds("retry_window")).label("just_now"),
    )
    .where(
        jwt_tokens.c.jti == bindparam("jti", type_=Uuid),
        jwt_tokens.c.token_type == literal_column("'refresh'"),
        jwt_tokens.c.expires_at > func.now(),
    )
    .with_for_update(),
    name="lock_refresh_token",
)
_until = func.coalesce(bindparam("until", type_=TIMESTAMP), func.now() + _seconds("refresh_lifetime"))
# Both or none; the access token never outlives the sign-in.
INSERT_PAIR = Statement(
    insert(jwt_tokens)
    .values(
        [
            {
                **{name: bindparam(name, type_=Uuid) for name in ("user_id", "family_id")},
                "token_type": literal_column("'access'"),
                "jti": bindparam("access_jti", type_=Uuid),
                "access_jti": null(),
                "expires_at": func.least(func.now() + _seconds("access_lifetime"), _until),
            },
            {
                **{name: bindparam(name, type_=Uuid) for name in ("user_id", "family_id")},
                "token_type": literal_column("'refresh'"),
                "jti": bindparam("jti", type_=Uuid),
                "access_jti": bindparam("access_jti", type_=Uuid),
                "expires_at": _until,
            },
        ]
    )
    .returning(jwt_tokens.c.jti),
    name="insert_pair",
)
SELECT_PAIR = Statement(
    select(
        *(jwt_tokens.c.jti, jwt_tokens.c.user_id, jwt_tokens.c.family_id, jwt_tokens.c.access_jti),
        *(jwt_tokens.c.revoked, _access.c.created_at.label("issued_at"), _access.c.expires_at),
    )
    .join_from(jwt_tokens, _access, _access.c.jti == jwt_tokens.c.access_jti)
    .where(jwt_tokens.c.jti == bindparam("jti", type_=Uuid)),
    name="select_pair",
)
REPLACE_REFRESH_TOKEN = Statement(
    update(jwt_tokens)
    .where(jwt_tokens.c.jti == bindparam("of_jti", type_=Uuid))
    .values(revoked=true(), revoked_at=func.clock_timestamp(), replaced_by=bindparam("successor", type_=Uuid)),
    name="replace_refresh_token",
)
REVOKE_FAMILY = Statement(
    update(jwt_tokens)
    .where(jwt_tokens.c.family_id == bindparam("of_family", type_=Uuid), jwt_tokens.c.revoked.is_(false()))
    .values(revoked=true(), revoked_at=func.clock_timestamp())
    .returning(jwt_tokens.c.jti),
    name="revoke_family",
)


async def select_bearer(db: Database, jti: UUID, user_id: UUID, family_id: UUID) -> Row | None:
    """Whose access token it is, where it holds and they are active."""
    return await db.fetch_one(SELECT_BEARER, {"jti": jti, "user_id": user_id, "family_id": family_id})


async def select_holding_families(db: Database, ids: Sequence[UUID]) -> list[UUID]:
    """Those of which some token holds."""
    return [row["family_id"] for row in await db.fetch_all(SELECT_HOLDING_FAMILIES, {"ids": list(ids)})]


async def select_family(db: Database, jti: UUID) -> Row | None:
    """Which family a token is of, and whose, revoked ones too."""
    return await db.fetch_one(SELECT_FAMILY, {"jti": jti})


async def lock_refresh_token(db: Database, jti: UUID, *, retry_window: float) -> Row | None:
    """With `just_now`: whether it was revoked less than `retry_window` seconds ago; None where it has expired."""
    return await db.fetch_one(LOCK_REFRESH_TOKEN, {"jti": jti, "retry_window": retry_window})


async def insert_pair(
    db: Database, *, user_id: UUID, family_id: UUID, settings: Jwt, until: datetime | None = None
) -> UUID:
    """An access token and the refresh token beside it, whose jti this gives; `until` is when the sign-in ends."""
    jti = new_id()
    ids = {"user_id": user_id, "family_id": family_id, "jti": jti, "access_jti": new_id()}
    lifetimes = {"access_lifetime": settings.access_lifetime, "refresh_lifetime": settings.refresh_lifetime}
    await db.execute(INSERT_PAIR, {**ids, **lifetimes, "until": until})
    return jti


async def select_pair(db: Database, jti: UUID) -> Row:
    """A refresh token and the access token beside it; one of both may have been swept: raises `RowNotFound`."""
    return await db.fetch_existing(SELECT_PAIR, {"jti": jti})


async def replace_refresh_token(db: Database, jti: UUID, *, successor: UUID) -> None:
    """It is used: from now on it is known by its successor only."""
    await db.execute(REPLACE_REFRESH_TOKEN, {"of_jti": jti, "successor": successor})


async def revoke_family(db: Database, family_id: UUID) -> bool:
    """All tokens of a sign-in; False where none was left to revoke."""
    return await db.fetch_val(REVOKE_FAMILY, {"of_family": family_id}) is not None
