"""What can be subscribed to, and who may: features declare topics, each with its rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.core.callers import Caller
from app.core.resources import Resources


@dataclass(frozen=True, slots=True)
class Asked:
    """One client's wish, as a rule sees it.

    `parameters` are the parts of the name that the pattern leaves open; `data` is what the client would publish, None
    where it subscribes.
    """

    caller: Caller | None
    topic: str
    parameters: Mapping[str, str]
    resources: Resources
    data: Any = None


# True where the client may. An `AppError` that it raises is told to the client as an error frame.
Rule = Callable[[Asked], Awaitable[bool]]


async def anybody(_: Asked) -> bool:
    """Whoever has a socket."""
    return True


async def signed_in(asked: Asked) -> bool:
    """Whoever has shown credentials."""
    return asked.caller is not None


async def admins(asked: Asked) -> bool:
    """Whoever has signed in with the role `admin`."""
    return asked.caller is not None and asked.caller.is_admin


async def nobody(_: Asked) -> bool:
    """No client; the service alone."""
    return False


@dataclass(frozen=True, slots=True)
class Topic:
    """A kind of topic: `Topic("orders:{id}", subscribe=may_see_order)`; names are `word[:part]...`."""

    pattern: str
    subscribe: Rule
    publish: Rule = nobody
