"""The request as handlers read it."""

from __future__ import annotations

from functools import cache
from typing import Any, NoReturn

from quart import Request
from werkzeug.sansio.utils import get_content_length
from werkzeug.utils import cached_property

from app.core.json import not_utf8
from app.web.body import CONTINUE, FlowingBody
from app.web.exchange import exchange_of
from app.web.forms import StrictForms
from app.web.json import not_json, require_json


class JsonRequest(Request):
    """Its body keeps to limits however it is read, and what cannot be read is the client's mistake, with a sentence."""

    body: FlowingBody
    body_class = FlowingBody
    form_data_parser_class = StrictForms

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (Quart's own, handed on)
        super().__init__(*args, **kwargs)
        self.body.exchange = exchange_of(self.scope)
        state: dict[str, Any] = self.scope.get("state") or {}
        self.body.go_on = state.get(CONTINUE)
        # Quart's deadline knows two of the ways of reading, and counts the handler's own time; the body's knows all.
        self.body.timeout, self.body_timeout = self.body_timeout, None

    @cached_property
    def content_length(self) -> int | None:
        """As announced. Werkzeug's own asks in a way that raises and catches an exception where a header is missing."""
        lengths, codings = self.headers.getlist("Content-Length"), self.headers.getlist("Transfer-Encoding")
        return get_content_length(lengths[0] if lengths else None, codings[0] if codings else None)

    @property
    def blueprints(self) -> list[str]:
        """Those of its route; Quart asks for them before, after and behind each handler, and takes the name apart."""
        return [*_blueprints(self.endpoint)]

    async def close(self) -> None:
        """Quart closes a request with its context; it looks for files where no form was read, too."""
        if self._files:
            await super().close()

    async def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ANN401  (Quart's own signature)
        """Raises `UnsupportedMediaType` and `BadRequest`; with `silent`, None stands for both."""
        if not (force or silent):
            require_json(self.content_type)
        try:
            return await super().get_json(force=force, silent=silent, cache=cache)
        except UnicodeDecodeError as error:  # Quart decodes before it looks for mistakes
            return None if silent else self.on_json_loading_failed(error)

    def on_json_loading_failed(self, error: Exception) -> NoReturn:
        raise not_json(not_utf8(error) if isinstance(error, UnicodeDecodeError) else error)


@cache
def _blueprints(endpoint: str | None) -> tuple[str, ...]:
    """From the innermost outwards; there are no more names than routes."""
    parts = (endpoint or "").split(".")[:-1]
    return tuple(".".join(parts[:length]) for length in range(len(parts), 0, -1))
