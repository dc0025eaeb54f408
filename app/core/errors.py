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


class InternalError(AppError):
    """Something went wrong on our side."""


class Panic(AppError):
    """Something went wrong on our side."""

    code = "PANIC"


class ServiceUnavailable(AppError):
    """A service that is needed here does not answer; please try again shortly."""

    status = 503
    code = "SERVICE_UNAVAILABLE"
