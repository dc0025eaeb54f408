"""JSON for Quart as the rest of the service writes and reads it: fast, and strict."""

from __future__ import annotations

from typing import Any

from quart import Response
from quart.json.provider import JSONProvider
from werkzeug.http import parse_options_header

from app.core.errors import BadRequest, UnsupportedMediaType
from app.core.json import dumps, loads


class OrjsonProvider(JSONProvider):
    """What a handler returns as a dict, and what it reads with `request.get_json()`."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:  # noqa: ANN401, ARG002  (the provider's own signature)
        return dumps(obj).decode()

    def response(self, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401  (the provider's own signature)
        """The bytes as they are written, with no way through a text."""
        return Response(dumps(self._prepare_response_obj(args, kwargs)), content_type="application/json")

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:  # noqa: ANN401, ARG002  (the provider's own signature)
        """Raises `NotJson`, a `ValueError`."""
        return loads(s if isinstance(s, bytes) else s.encode(errors="surrogatepass"))


def not_json(error: Exception) -> BadRequest:
    """What the sender of a body is told that `loads` refused."""
    refusal = BadRequest(f"The body cannot be read as JSON: {error}.")
    refusal.__cause__ = error
    return refusal


def require_json(content_type: str | None) -> None:
    """Raises `UnsupportedMediaType` for all but `application/json` and `application/...+json`, in UTF-8."""
    kind, options = parse_options_header(content_type or "")
    kind = kind.lower()
    named = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    if not named or options.get("charset", "utf-8").lower() not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("The body must be JSON: send it in UTF-8, with Content-Type: application/json.")
