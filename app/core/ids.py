"""New ids: UUIDv7, as the database's own `uuidv7()` makes them, so that both sort together by time."""

from __future__ import annotations

from uuid import UUID

import uuid_utils
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Later ones of a process are always greater; the standard library has no UUIDv7 before Python 3.14."""
    return uuid7()


def new_id_text() -> str:
    """The same as text, at a tenth of the price: for what is never anything else, such as the id of a request."""
    return str(uuid_utils.uuid7())
