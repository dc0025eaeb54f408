"""What a connection needs no more once it is a WebSocket's: stand-ins without a state, one for all of them."""

from __future__ import annotations

from hypercorn.protocol.h11 import H11WSConnection


class Upgraded(H11WSConnection):
    """For the parser of HTTP."""

    def __init__(self) -> None:
        """Keeps nothing."""


class Passed:
    """For the event that lets a request be parsed when the one before it has its answer."""

    async def clear(self) -> None: ...

    async def wait(self) -> None: ...

    async def set(self) -> None: ...

    def is_set(self) -> bool:
        return True


UPGRADED, PASSED = Upgraded(), Passed()
