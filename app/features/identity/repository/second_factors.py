"""The statements about second factors and their recovery codes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    LargeBinary,
    Uuid,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from app.core.database import TIMESTAMP, Database, Row, Statement
from app.features.identity.tables import recovery_codes, second_factors

FREE_FAILURES = 10  # in a row; from then on the next try waits
FIRST_WAIT, LONGEST_WAIT = 30.0, 3600.0  # seconds; each wait is twice the one before
DOUBLINGS = 7  # that lead to the longest; a power of any number of failures would overflow

_table = second_factors.c
_of_user = _table.user_id == bindparam("of_user", type_=Uuid)
_codes_of_user = recovery_codes.c.user_id == bindparam("of_user", type_=Uuid)
_is_confirmed = _table.confirmed_at.is_not(None)
_may_be_tried = or_(_table.next_try_at.is_(None), _table.next_try_at <= func.now())


def _next_try() -> ColumnElement[Any]:
    """After the failure that is being counted.

    None where nobody has to wait: `now()` would be ahead of a request that began before this one and waits for it.
    """
    beyond = func.least(_table.failures + 1 - FREE_FAILURES, DOUBLINGS)
    seconds = func.least(FIRST_WAIT * func.power(2.0, beyond), LONGEST_WAIT)
    return case((beyond < 0, null()), else_=func.now() + seconds * literal_column("interval '1 second'"))


UPSERT_SECRET = Statement(
    upsert(second_factors)
    .values(user_id=bindparam("user_id", type_=Uuid), secret=bindparam("secret", type_=LargeBinary))
    .on_conflict_do_update(
        index_elements=[_table.user_id],
        set_={"secret": bindparam("secret", type_=LargeBinary), "last_step": None},
        where=_table.confirmed_at.is_(None),
    )
    .returning(_table.user_id),
    name="upsert_second_factor",
)
SELECT_STATE = Statement(
    select(
        select(_is_confirmed).where(_of_user).scalar_subquery().label("confirmed"),
        select(func.count()).select_from(recovery_codes).where(_codes_of_user).scalar_subquery().label("codes_left"),
    ),
    name="select_second_factor_state",
)
# Counted before anybody looks at the code: of tries at once, none slips through before the others are counted.
TAKE_TRY = Statement(
    update(second_factors)
    .where(_of_user, _is_confirmed == bindparam("confirmed", type_=Boolean), _may_be_tried)
    .values(failures=_table.failures + 1, next_try_at=_next_try())
    .returning(_table.secret, _table.confirmed_at),
    name="take_second_factor_try",
)
SELECT_WAIT = Statement(
    select(
        _is_confirmed.label("confirmed"),
        func.ceil(func.extract("epoch", _table.next_try_at - func.now())).cast(BigInteger).label("seconds"),
    ).where(_of_user),
    name="select_second_factor_wait",
)
# `confirmed_at` stands for the factor that the code was checked against: not one that took its place meanwhile.
_SPENT: dict[str, Any] = {
    "last_step": bindparam("step", type_=BigInteger),
    "secret": bindparam("new_secret", type_=LargeBinary),
    "failures": 0,
    "next_try_at": None,
}
_is_newer = or_(_table.last_step.is_(None), _table.last_step < bindparam("step", type_=BigInteger))
SPEND_STEP = Statement(
    update(second_factors)
    .where(_of_user, _table.confirmed_at == bindparam("confirmed", type_=TIMESTAMP), _is_newer)
    .values(_SPENT)
    .returning(_table.user_id),
    name="spend_second_factor_step",
)
CONFIRM = Statement(
    update(second_factors)
    .where(
        _of_user,
        _table.confirmed_at.is_(None),
        _table.secret == bindparam("old_secret", type_=LargeBinary),
    )
    .values({**_SPENT, "confirmed_at": func.now()})
    .returning(_table.user_id),
    name="confirm_second_factor",
)
FORGET_FAILURES = Statement(
    update(second_factors).where(_of_user).values(failures=0, next_try_at=None), name="forget_second_factor_failures"
)
DELETE_FACTOR = Statement(delete(second_factors).where(_of_user).returning(_table.user_id), name="delete_second_factor")

SPEND_RECOVERY_CODE = Statement(
    delete(recovery_codes)
    .where(_codes_of_user, recovery_codes.c.code_hash == bindparam("hash", type_=LargeBinary))
    .returning(recovery_codes.c.user_id),
    name="spend_recovery_code",
)
DELETE_RECOVERY_CODES = Statement(delete(recovery_codes).where(_codes_of_user), name="delete_recovery_codes")
INSERT_RECOVERY_CODES = Statement(
    insert(recovery_codes).from_select(
        ["user_id", "code_hash"],
        text("SELECT CAST(:user_id AS uuid) AS user_id, unnest(CAST(:hashes AS bytea[])) AS code_hash").columns(
            recovery_codes.c.user_id, recovery_codes.c.code_hash
        ),
    ),
    name="insert_recovery_codes",
)


async def upsert_secret(db: Database, user_id: UUID, secret: bytes) -> bool:
    """In place of one that waits for its first code; False where a confirmed one is there."""
    return await db.fetch_val(UPSERT_SECRET, {"user_id": user_id, "secret": secret}) is not None


async def select_state(db: Database, user_id: UUID) -> Row:
    """`confirmed` is None where there is no second factor."""
    return await db.fetch_existing(SELECT_STATE, {"of_user": user_id})


async def take_try(db: Database, user_id: UUID, *, confirmed: bool) -> Row | None:
    """Count a failure, which a right code takes back; None where there is no such factor, or its user has to wait."""
    return await db.fetch_one(TAKE_TRY, {"of_user": user_id, "confirmed": confirmed})


async def select_wait(db: Database, user_id: UUID) -> Row | None:
    """Whether it is `confirmed`, and the `seconds` until the next try; None where there is no second factor."""
    return await db.fetch_one(SELECT_WAIT, {"of_user": user_id})


async def spend_step(db: Database, user_id: UUID, *, confirmed_at: datetime, step: int, secret: bytes) -> bool:
    """False where a code of this step or of a later one was taken already. `secret` is the same, encrypted anew."""
    values = {"of_user": user_id, "confirmed": confirmed_at, "step": step, "new_secret": secret}
    return await db.fetch_val(SPEND_STEP, values) is not None


async def confirm(db: Database, user_id: UUID, *, old_secret: bytes, step: int, secret: bytes) -> bool:
    """False where another request has confirmed or replaced it meanwhile."""
    values = {"of_user": user_id, "old_secret": old_secret, "step": step, "new_secret": secret}
    return await db.fetch_val(CONFIRM, values) is not None


async def forget_failures(db: Database, user_id: UUID) -> None:
    await db.execute(FORGET_FAILURES, {"of_user": user_id})


async def delete_factor(db: Database, user_id: UUID) -> bool:
    """With its recovery codes; False where there was none."""
    await db.execute(DELETE_RECOVERY_CODES, {"of_user": user_id})
    return await db.fetch_val(DELETE_FACTOR, {"of_user": user_id}) is not None


async def spend_recovery_code(db: Database, user_id: UUID, code_hash: bytes) -> bool:
    """False where there is no such code, or it was used."""
    return await db.fetch_val(SPEND_RECOVERY_CODE, {"of_user": user_id, "hash": code_hash}) is not None


async def replace_recovery_codes(db: Database, user_id: UUID, hashes: Sequence[bytes]) -> None:
    await db.execute(DELETE_RECOVERY_CODES, {"of_user": user_id})
    await db.execute(INSERT_RECOVERY_CODES, {"user_id": user_id, "hashes": list(hashes)})
