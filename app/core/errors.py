"""The few kinds of error a client can be told about; the kind gives the status, the subclass the sentence."""

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
    """The request could not be understood."""

    status = 400
    code = "BAD_REQUEST"


class ValidationFailed(AppError):
    """Some values are missing or not allowed."""

    status = 400
    code = "VALIDATION_ERROR"

    def __init__(self, fields: Mapping[str, list[str]]) -> None:
        """`fields` maps the name of each wrong field to what is wrong with it, in sentences for a person."""
        super().__init__(details=fields)


class Unauthorized(AppError):
    """Sign in first, or send valid credentials."""

    status = 401
    code = "UNAUTHORIZED"


class Forbidden(AppError):
    """You may not do this."""

    status = 403
    code = "FORBIDDEN"


class NotFound(AppError):
    """There is nothing at this address."""

    status = 404
    code = "NOT_FOUND"


class MethodNotAllowed(AppError):
    """This address does not answer to that method."""

    status = 405
    code = "METHOD_NOT_ALLOWED"


class RequestTimeout(AppError):
    """The request took too long and was stopped."""

    status = 408
    code = "REQUEST_TIMEOUT"


class Conflict(AppError):
    """That does not fit what is already stored."""

    status = 409
    code = "CONFLICT"


class PayloadTooLarge(AppError):
    """The body of the request is too large."""

    status = 413
    code = "PAYLOAD_TOO_LARGE"


class UriTooLong(AppError):
    """The address of the request is too long."""

    status = 414
    code = "URI_TOO_LONG"


class UnsupportedMediaType(AppError):
    """The body of the request is not of a type that is read here."""

    status = 415
    code = "UNSUPPORTED_MEDIA_TYPE"


class Unprocessable(AppError):
    """This Idempotency-Key was used with another request."""

    status = 422
    code = "UNPROCESSABLE"


class RateLimited(AppError):
    """Too many requests; please slow down."""

    status = 429
    code = "RATE_LIMITED"


class HeadersTooLarge(AppError):
    """The headers of the request are too large or too many."""

    status = 431
    code = "HEADERS_TOO_LARGE"


class InternalError(AppError):
    """Something went wrong on our side."""


class Panic(AppError):
    """Something went wrong on our side."""

    code = "PANIC"


class NotImplementedHere(AppError):
    """The request asks for a feature of HTTP that this service does not have."""

    status = 501
    code = "NOT_IMPLEMENTED"


class ServiceUnavailable(AppError):
    """A service that is needed here does not answer; please try again shortly."""

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
