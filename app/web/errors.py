"""Every error leaves as one JSON body: a sentence, a code, and details where they help."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from quart import Quart, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import WebsocketMismatch

from app.core.database import translate
from app.core.errors import CATALOGUE, AppError, BadRequest, InternalError, Panic, ServiceUnavailable, Unauthorized
from app.web.refusal import error_body

log = structlog.get_logger(__name__)

# What Werkzeug raises by itself, in our words. Any other status of its own keeps its number, with its standard phrase
# as the sentence and the code of the nearest kind: BAD_REQUEST below 500, INTERNAL_ERROR from there on.
# Of kinds that share a status, the first in the catalogue stands for it.
KINDS: dict[int, type[AppError]] = {kind.status: kind for kind in reversed(CATALOGUE)}
# Where the kind's own sentence is about a case that the framework knows nothing of.
SENTENCES = {422: "The request is understood, but can't be followed."}
PHRASES = {status.value: f"{status.phrase}." for status in HTTPStatus}


class WrongProtocol(BadRequest):
    """This address is for WebSockets and the request is none, or the other way round."""


def error_response(error: AppError, *, status: int | None = None) -> Response:
    """The one error body of the service."""
    response = Response(error_body(error), status or error.status, content_type="application/json")
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if response.status_code == Unauthorized.status:
        response.headers["WWW-Authenticate"] = "Bearer"  # which a 401 must name (RFC 9110, 15.5.2)
    return response


async def handle_app_error(error: AppError) -> Response:
    """Answer an error that the code raised on purpose; the log has its cause."""
    if isinstance(error, ServiceUnavailable):
        # In an outage every request ends here: a line each, not a page. The probes tell when it began and ended.
        log.warning("request_failed", code=error.code, reason=error.message, **_named(error.__cause__))
    elif error.status >= 500:
        log.error("request_failed", code=error.code, reason=error.message, exc_info=error.__cause__)
    return error_response(error)


def _named(cause: BaseException | None) -> dict[str, str]:
    """Its type and first line; below that, PostgreSQL adds the values of a row."""
    if cause is None:
        return {}
    return {"cause": type(cause).__name__, "said": str(cause).partition("\n")[0]}


async def handle_http_exception(error: HTTPException) -> Response:
    """Put what the framework raises by itself into the same body, keeping headers such as `Allow`."""
    status = error.code or 500
    response = error_response(_in_our_words(status), status=status)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


async def handle_mismatch(_: HTTPException) -> Response:
    """Say which of the two the address is not."""
    return error_response(WrongProtocol())


def _in_our_words(status: int) -> AppError:
    kind = KINDS.get(status)
    if kind is not None:
        return kind(SENTENCES.get(status))
    return (InternalError if status >= 500 else BadRequest)(PHRASES.get(status))


async def handle_unexpected(error: Exception) -> Response:
    """Translate what the database says into the client's terms; anything else is a panic, logged whole."""
    translated = translate(error)
    if translated is None:
        return panic_response(error)
    translated.__cause__ = error
    return await handle_app_error(translated)


def panic_response(error: BaseException) -> Response:
    """Answer for an exception that nobody expected: say nothing to the client, log everything."""
    log_panic(error)
    return error_response(Panic())


def log_panic(error: BaseException) -> None:
    """All of it but local variables, which hold what requests bring."""
    log.error("panic", error=type(error).__name__, exc_info=error)


def install_error_handlers(app: Quart) -> None:
    """Let no error leave in another shape."""
    app.register_error_handler(AppError, handle_app_error)
    app.register_error_handler(HTTPException, handle_http_exception)
    app.register_error_handler(WebsocketMismatch, handle_mismatch)
    app.register_error_handler(Exception, handle_unexpected)
