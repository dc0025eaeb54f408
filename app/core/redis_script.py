"""A script that Redis runs in one piece, called by its digest: its text travels only where Redis has not seen it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from app.core.redis import Redis, Value

Argument = bytes | str | int


class Script:
    """Lua, as `EVAL` takes it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()  # the name Redis gives it

    async def run(self, redis: Redis, keys: Sequence[str], arguments: Sequence[Argument]) -> Value:
        """What it returns. Raises `RedisUnavailable`, and Redis's own error where that is what it answers."""
        call = (len(keys), *keys, *arguments)
        try:
            return await redis.execute("EVALSHA", self.digest, *call)
        except Exception as error:
            if type(error).__name__ != "NoScriptError":  # by name: a start without Redis does not import its client
                raise
        # It has forgotten the script: started anew, or never told.
        return await redis.execute("EVAL", self.text, *call)
