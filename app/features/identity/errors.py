"""The refusals of identity. They say no more than the caller knows already."""

from __future__ import annotations

from app.core.errors import BadRequest, Conflict, Forbidden, NotFound, RateLimited, ServiceUnavailable, Unauthorized


class SignInFailed(Unauthorized):
    """The e-mail address or the password is wrong, or the address is not verified yet."""


class PasswordWrong(Forbidden):
    """The current password is wrong."""


class NotABrowser(Forbidden):
    """This is for the session of a browser; tokens are revoked at /api/v1/auth/token/revoke."""


class SecondFactorNeeded(Unauthorized):
    """Send the code of your second factor, too, or a recovery code, as `code`.

    The password was right; `details.second_factor` is "required".
    """


class TooManyTries(RateLimited):
    """Too many tries to sign in; please wait."""


class TooManyMails(RateLimited):
    """Too many mails to this address; please wait."""


class HashingBusy(ServiceUnavailable):
    """Too many people sign in at this moment; please try again."""


class ProviderAway(ServiceUnavailable):
    """The provider of this token does not answer, so nobody can tell whether it is good; please try again."""


class BadToken(BadRequest):
    """This token is not valid, was used already, or is too old."""


class BadRefreshToken(Unauthorized):
    """This refresh token does not hold any more; please sign in again."""


class CsrfRefused(Forbidden):
    """This request does not come from a page of this service: X-CSRF-Token is missing or wrong, or its origin is."""


class NoSuchUser(NotFound):
    """There is no such user."""


class NoSuchSession(NotFound):
    """There is no such session."""


class NoSuchKey(NotFound):
    """There is no such API key."""


class EmailTaken(Conflict):
    """A user with this e-mail address exists."""


class LastAdmin(Conflict):
    """This is the last administrator who can sign in; make another one first."""


class KeyIsRotated(Conflict):
    """This API key was rotated already; rotate its successor."""


class KeyIsOver(Conflict):
    """This API key is revoked or has expired."""


class TooManyKeys(Conflict):
    """There are a hundred API keys that hold already; revoke one that is not needed."""


class SecondFactorThere(Conflict):
    """A second factor is there already; remove it first."""


class NoSecondFactor(Conflict):
    """There is no second factor, or it waits for its first code."""


class WrongCode(BadRequest):
    """This code is wrong, or was used already."""
