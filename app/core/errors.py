"""The few kinds of error a client can be told about; the kind gives the status, the subclass the sentence.

The first line of a docstring is what the client reads; the rest says for the documentation when that happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class AppError(Exception):
    """Something went wrong on our side."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(
        self,
        message: str | None = None,
        *,
        details: Mapping[str, Any] | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Take the sentence from the docstring unless one is given; `retry_after` is in seconds."""
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.details = dict(details) if details else None
        self.retry_after = retry_after
        super().__init__(self.message)


class BadRequest(AppError):
    """The request could not be understood.

    It can't be understood: a body that is no JSON, an address or a header that is none, a value that the
    database's checks refuse, text or a number that no column holds.
    """

    status = 400
    code = "BAD_REQUEST"


class ValidationFailed(AppError):
    """Some values are missing or not allowed.

    The request is understood, but not what its route takes; `details` has what is wrong with each field, all at once.
    """

    status = 400
    code = "VALIDATION_ERROR"

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        """`fields` maps the name of each wrong field to what is wrong with it, in sentences for a person."""
        super().__init__(details=fields)


class Unauthorized(AppError):
    """Sign in first, or send valid credentials.

    The route is for those who have signed in, and no credentials came or bad ones.
    """

    status = 401
    code = "UNAUTHORIZED"


class Forbidden(AppError):
    """You may not do this.

    It is known who calls, or from where, and the route is for others.
    """

    status = 403
    code = "FORBIDDEN"


class NotFound(AppError):
    """There is nothing at this address.

    No such address, or no such record.
    """

    status = 404
    code = "NOT_FOUND"


class MethodNotAllowed(AppError):
    """This address does not answer to that method.

    Another method is meant; `Allow` names them.
    """

    status = 405
    code = "METHOD_NOT_ALLOWED"


class RequestTimeout(AppError):
    """The request took too long and was stopped.

    The time of the route, mostly `server.request_timeout`, is over and its handler has been stopped; or the body did
    not arrive within `server.body_timeout`.
    """

    status = 408
    code = "REQUEST_TIMEOUT"


class Conflict(AppError):
    """That does not fit what is already stored.

    A unique or foreign key stands against it, which `details.constraint` names; or a request with the same
    Idempotency-Key is still running.
    """

    status = 409
    code = "CONFLICT"


class PayloadTooLarge(AppError):
    """The body of the request is too large.

    The body is over the limit of the route, mostly `server.body_limit`.
    """

    status = 413
    code = "PAYLOAD_TOO_LARGE"


class UriTooLong(AppError):
    """The address of the request is too long.

    The path and its query are together over 8 KiB.
    """

    status = 414
    code = "URI_TOO_LONG"


class UnsupportedMediaType(AppError):
    """The body of the request is not of a type that is read here.

    The route reads JSON, and `Content-Type` says something else.
    """

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class Unprocessable(AppError):
    """This Idempotency-Key was used with another request.

    Its method, address or body was another one then; take a new key.
    """

    status = 422
    code = "UNPROCESSABLE"


class RateLimited(AppError):
    """Too many requests; please slow down.

    A limit of the route is reached; `Retry-After` says when to come again.
    """

    status = 429
    code = "RATE_LIMITED"


class HeadersTooLarge(AppError):
    """The headers of the request are too large or too many.

    They are over 16 KiB together, or more than 100.
    """

    status = 431
    code = "HEADERS_TOO_LARGE"


class InternalError(AppError):
    """Something went wrong on our side.

    Raised on purpose, as a mistake of the service; the log has it as `request_failed`.
    """


class Panic(AppError):
    """Something went wrong on our side.

    An exception that nobody expected; the log has all of it as `panic`.
    """

    code = "PANIC"


class NotImplementedHere(AppError):
    """The request asks for a feature of HTTP that this service does not have.

    Such as a transfer coding other than `chunked`.
    """

    status = 501
    code = "NOT_IMPLEMENTED"


class ServiceUnavailable(AppError):
    """A service that is needed here does not answer; please try again shortly.

    PostgreSQL or Redis is needed and does not answer, a lock or a statement took too long, too many requests are
    running, or the process is stopping; `Retry-After` says when to come again.
    """

    status = 503
    code = "SERVICE_UNAVAILABLE"


# Every kind there is: what the documentation lists, and all that a client may ever see as a `code`.
CATALOGUE: tuple[type[AppError], ...] = (
    BadRequest,
    ValidationFailed,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    PayloadTooLarge,
    UriTooLong,
    UnsupportedMediaType,
    Unprocessable,
    RateLimited,
    HeadersTooLarge,
    InternalError,
    Panic,
    NotImplementedHere,
    ServiceUnavailable,
)
