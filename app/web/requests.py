"""The request as handlers read it."""

from __future__ import annotations

from typing import Any

from quart import Request


class JsonRequest(Request):
    """A body that is not UTF-8 is the client's mistake: Quart decodes it before it looks for mistakes."""

    async def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ANN401  (Quart's own signature)
        try:
            return await super().get_json(force=force, silent=silent, cache=cache)
        except UnicodeDecodeError as error:
            return None if silent else self.on_json_loading_failed(error)
