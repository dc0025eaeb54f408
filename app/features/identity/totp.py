"""Time-based one-time passwords (RFC 6238) as every authenticator app makes them: SHA-1, 6 digits, 30 seconds."""

from __future__ import annotations

import hmac
from datetime import datetime

from pyotp import TOTP, random_base32

STEP = 30  # seconds
DRIFT = 1  # steps on either side that a phone's clock may be off (RFC 6238, 5.2)


def new_secret() -> str:
    """160 random bits (RFC 4226, 4), in base32."""
    return random_base32(32)


def enrolment_uri(secret: str, *, account: str, issuer: str) -> str:
    """What an app reads from a QR code: an `otpauth:` URI."""
    return TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The latest time step near `now` whose code this is; None where there is none.

    All are compared, each in constant time: how long it takes does not tell which one it was.
    """
    generator, present = TOTP(secret), int(now.timestamp()) // STEP
    given = "".join(code.split()).encode("utf-8", "surrogatepass")  # apps show it in two groups
    near = range(present - DRIFT, present + DRIFT + 1)
    right = [step for step in near if hmac.compare_digest(generator.generate_otp(step).encode(), given)]
    return max(right, default=None)
