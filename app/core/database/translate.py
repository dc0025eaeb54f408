"""What a client is told about a database error: its kind and a constraint's name, never a value or SQL.

| what happened                                          | answer                    |
|--------------------------------------------------------|---------------------------|
| unique, exclusion (23505, 23P01)                       | Conflict, constraint      |
| foreign key, restrict (23503, 23001)                   | Conflict, constraint      |
| check, not null (23514, 23502)                         | BadRequest, constraint    |
| text or number that no column holds (22001 22003 22021 22P05) | BadRequest         |
| `RowNotFound`                                          | NotFound                  |
| no connection, no answer, shutdown, too many clients   | ServiceUnavailable, 1 s   |
| statement or lock timeout (57014, 55P03)               | ServiceUnavailable, 1 s   |
| deadlock, serialization failure (40P01, 40001)         | ServiceUnavailable, 1 s   |
| the server has become a standby (25006)                | ServiceUnavailable, 1 s   |

Timeouts and deadlocks are 503 and not 409: nothing is wrong with what was sent, nothing has been stored, and the
same request may well succeed a second later.
"""

from __future__ import annotations

import asyncpg

from app.core.database.errors import ConnectionTrouble, RowNotFound
from app.core.database.trouble import trouble
from app.core.errors import AppError, BadRequest, Conflict, NotFound, ServiceUnavailable

RETRY_AFTER = 1  # seconds

_CONFLICT = (asyncpg.UniqueViolationError, asyncpg.ExclusionViolationError)
_REFERENCE = (asyncpg.ForeignKeyViolationError, asyncpg.RestrictViolationError)
_TEXT = (
    asyncpg.StringDataRightTruncationError,
    asyncpg.NumericValueOutOfRangeError,
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.UntranslatableCharacterError,
)
_BUSY = (
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)


def translate(error: BaseException) -> AppError | None:
    """The error for the client, or None for one that is a mistake of ours."""
    if isinstance(error, RowNotFound):
        return NotFound("There is no such record.")
    if isinstance(error, (ConnectionTrouble, *_BUSY)):
        return ServiceUnavailable(retry_after=RETRY_AFTER)
    if isinstance(error, asyncpg.PostgresError):
        return _refusal(error)
    return None


def _refusal(error: asyncpg.PostgresError) -> AppError | None:
    if trouble(error, gone=False):
        return ServiceUnavailable(retry_after=RETRY_AFTER)
    if isinstance(error, _CONFLICT):
        return Conflict("Something with this value is already stored.", details=_details(error))
    if isinstance(error, _REFERENCE):
        return Conflict("This refers to, or is still used by, another record.", details=_details(error))
    if isinstance(error, asyncpg.CheckViolationError | asyncpg.NotNullViolationError):
        return BadRequest("A value is missing or not allowed.", details=_details(error))
    if isinstance(error, _TEXT):
        return BadRequest("A value is too long, too large or holds a character that can't be stored.")
    return None


def _details(error: asyncpg.PostgresError) -> dict[str, str] | None:
    """The constraint's name: part of the schema, which a client of this API may know."""
    name = error.constraint_name
    return {"constraint": name} if name else None
