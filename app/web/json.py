"""JSON for Quart as the rest of the service writes and reads it: fast, and strict UTF-8."""

from __future__ import annotations

from typing import Any

import orjson
from quart.json.provider import JSONProvider

from app.core.json import dumps


class OrjsonProvider(JSONProvider):
    """What a handler returns as a dict, and what it reads with `request.get_json()`."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:  # noqa: ANN401, ARG002  (the provider's own signature)
        return dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002  (the provider's own signature)
        return orjson.loads(s)
