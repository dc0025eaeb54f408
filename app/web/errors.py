"""Every error leaves as one JSON body: a sentence, a code, and details where they help."""

from __future__ import annotations

import structlog
from quart import Quart, Response
from werkzeug.exceptions import HTTPException

from app.core.database import translate
from app.core.errors import (
    AppError,
    BadRequest,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Panic,
    RequestTimeout,
    Unauthorized,
)
from app.web.refusal import error_body

log = structlog.get_logger(__name__)

# What Werkzeug raises by itself, in our words; any other status of its own keeps its number.
KINDS: dict[int, type[AppError]] = {
    400: BadRequest,
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTimeout,
    500: InternalError,
}


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
    if error.status >= 500:
        log.error("request_failed", code=error.code, reason=error.message, exc_info=error.__cause__)
    return error_response(error)


async def handle_http_exception(error: HTTPException) -> Response:
    """Put what the framework raises by itself into the same body, keeping headers such as `Allow`."""
    status = error.code or 500
    kind = KINDS.get(status, InternalError if status >= 500 else BadRequest)
    response = error_response(kind(), status=status)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


async def handle_unexpected(error: Exception) -> Response:
    """Translate what the database says into the client's terms; anything else is a panic, logged whole."""
    translated = translate(error)
    if translated is None:
        return panic_response(error)
    translated.__cause__ = error
    return await handle_app_error(translated)


def panic_response(error: BaseException) -> Response:
    """Answer for an exception that nobody expected: say nothing to the client, log everything."""
    log.error("panic", error=type(error).__name__, exc_info=error)
    return error_response(Panic())


def install_error_handlers(app: Quart) -> None:
    """Let no error leave in another shape."""
    app.register_error_handler(AppError, handle_app_error)
    app.register_error_handler(HTTPException, handle_http_exception)
    app.register_error_handler(Exception, handle_unexpected)
