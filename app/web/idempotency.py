"""A request that is repeated with the same Idempotency-Key changes nothing and gets the same answer.

The answer is stored in the transaction of its effects, so that it is kept if and only if they are. One stored after
the commit would be lost in a crash between the two, and the effects would happen again.
"""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

from quart import Request, Response
from quart.typing import ResponseTypes
from sqlalchemy import Interval, and_, bindparam, delete, func, literal, not_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from werkzeug.wrappers import Response as PlainResponse

from app.core.database import Database, Row, Statement
from app.core.errors import BadRequest, Conflict, InternalError, Unprocessable
from app.web.application import Answering, resources
from app.web.endpoint import Endpoint
from app.web.exchange import exchange_of
from app.web.policy import MIB
from app.web.tables import idempotency_keys as keys

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
KEY = re.compile(r"[!-~]{1,255}")  # visible ASCII
LIFETIME = timedelta(hours=24)
SWEPT = 5  # expired keys deleted by each new one: more than come in, so that a backlog shrinks too
LARGEST = MIB  # bytes of an answer
# What an answer's body means; whatever else belongs to one exchange, such as its id, is made anew.
KEPT_HEADERS = (
    *("Content-Type", "Content-Language", "Content-Encoding", "Content-Disposition"),
    *("Cache-Control", "ETag", "Last-Modified", "Link", "Location", "Vary"),
)

# Two statements, not one: only the second, whose snapshot is taken once the lock is held, sees what the last holder
# of the lock has stored.
TRY_LOCK = Statement(
    select(func.pg_try_advisory_xact_lock(bindparam("lock")).label("got")), name="lock_idempotency_key"
)

_own = and_(keys.c.scope == bindparam("scope"), keys.c.key == bindparam("key"))

# An expired one is locked too: it will be replaced, and nobody else's sweep may take it and then wait for us.
SELECT_KEY = Statement(
    select(
        keys.c.fingerprint, keys.c.status, keys.c.headers, keys.c.body, (keys.c.expires_at > func.now()).label("valid")
    )
    .where(_own)
    .with_for_update(),
    name="select_idempotency_key",
)

_expired = (
    select(keys.c.scope, keys.c.key)
    .where(keys.c.expires_at <= func.now(), not_(_own))
    .order_by(keys.c.expires_at)
    .limit(literal(SWEPT))
    .with_for_update(skip_locked=True)
)
_new = insert(keys).values(
    **{name: bindparam(name) for name in ("scope", "key", "fingerprint", "status", "headers", "body")},
    expires_at=func.now() + literal(LIFETIME, Interval),
)
INSERT_KEY = Statement(
    _new.on_conflict_do_update(
        constraint=keys.primary_key,
        set_={column.name: column for column in _new.excluded if column.name not in {"scope", "key"}},
    ).add_cte(delete(keys).where(tuple_(keys.c.scope, keys.c.key).in_(_expired)).cte("swept")),
    name="insert_idempotency_key",
)


class NotHonoured(BadRequest):
    """This address takes no Idempotency-Key; send the request without it."""


class BadKey(BadRequest):
    """An Idempotency-Key is one value of 1 to 255 visible ASCII characters."""


class StillRunning(Conflict):
    """A request with this Idempotency-Key is still being answered; repeat it later."""


class NotStorable(InternalError):
    """This address cannot keep its answer for an Idempotency-Key; nothing was changed."""


class Idempotency:
    """Runs handlers of unsafe methods inside one transaction with the storing of their answer."""

    async def __call__(self, request: Request, endpoint: Endpoint, answer: Answering) -> ResponseTypes:
        """Raises `NotHonoured`, `BadKey`, `StillRunning`, `Unprocessable` and `NotStorable`."""
        given = request.headers.getlist(HEADER)
        if not given or request.method not in UNSAFE:
            return await answer()
        if not endpoint.policy.idempotency:
            raise NotHonoured
        if len(given) > 1 or not KEY.fullmatch(given[0]):
            raise BadKey
        # Before the transaction: a body that trickles in must not hold a connection meanwhile.
        body: bytes = await request.get_data(cache=True, as_text=False, parse_form_data=False)
        fingerprint = _fingerprint(request, body)
        return await _once(resources().database, _scope(request), given[0], fingerprint, answer)


async def _once(db: Database, scope: str, key: str, fingerprint: bytes, answer: Answering) -> ResponseTypes:
    # Said, not left to the server's default: on a higher level the lock would not show what its last holder stored.
    async with db.transaction(isolation="read_committed"):
        if not await db.fetch_val(TRY_LOCK, {"lock": _lock(scope, key)}):
            raise StillRunning(retry_after=1)
        stored = await db.fetch_one(SELECT_KEY, {"scope": scope, "key": key})
        if stored is not None and stored["valid"]:
            return _replay(stored, fingerprint)
        response = await answer()
        values = await _storable(response)
        await db.execute(INSERT_KEY, {"scope": scope, "key": key, "fingerprint": fingerprint, **values})
    return response


def _replay(stored: Row, fingerprint: bytes) -> Response:
    if stored["fingerprint"] != fingerprint:
        raise Unprocessable
    response = Response(stored["body"], stored["status"])
    response.headers.remove("Content-Type")  # of the class; the answer may have had none
    response.headers.extend(stored["headers"])
    response.headers[REPLAYED] = "true"
    return response


async def _storable(response: ResponseTypes) -> dict[str, object]:
    """A stream is read to its end here, and sent only when all of it is stored."""
    if "Set-Cookie" in response.headers:
        raise NotStorable from ValueError("it sets a cookie, which belongs to one exchange")
    body = response.get_data() if isinstance(response, PlainResponse) else await _collect(response)
    kept = [[name, value] for name in KEPT_HEADERS for value in response.headers.getlist(name)]
    return {"status": response.status_code, "headers": kept, "body": body}


async def _collect(response: Response) -> bytes:
    body = bytearray()
    async with response.response as parts:
        async for part in parts:
            body += part.encode() if isinstance(part, str) else part
            if len(body) > LARGEST:
                raise NotStorable from ValueError(f"it is larger than {LARGEST} bytes")
    response.response = Response.data_body_class(bytes(body))
    return bytes(body)


def _scope(request: Request) -> str:
    caller = exchange_of(request.scope).caller
    return f"caller:{caller.id}" if caller else "anonymous"


def _fingerprint(request: Request, body: bytes) -> bytes:
    # The parts before the body hold no zero byte, so that no two requests are written alike.
    scope = request.scope
    path = scope["raw_path"] + b"?" + scope["query_string"]
    head = (request.method.encode(), path, request.headers.get("Content-Type", "").encode())
    return hashlib.sha256(b"\0".join((*head, body))).digest()


def _lock(scope: str, key: str) -> int:
    """A number of 64 bits; should two keys share one, the second is told to come again."""
    digest = hashlib.sha256(f"idempotency\0{scope}\0{key}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)
