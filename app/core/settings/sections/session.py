"""Section `session`: browsers that have signed in, and what is kept of them encrypted."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import declare
from app.core.settings.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Browsers that have signed in."""

    secret: Secret = declare.secret(
        "Seals what is sent by mail and encrypts second factors. Losing it voids both.", shortest=32
    )
    previous_secret: Secret = declare.optional_secret(
        "The secret before the present one, which is still read; for the time of a change.", shortest=32
    )
    require_second_factor: bool = declare.flag(
        False, "Who has no second factor can, once signed in, do nothing but add one. API keys are not affected."
    )
    idle_timeout: float = declare.seconds(
        43_200.0, 1, 31_536_000, "A session that nobody has used for so long is over."
    )
    absolute_timeout: float = declare.seconds(
        604_800.0, 1, 31_536_000, "A session is over so long after the sign-in, however much it is used."
    )
    max_per_user: int = declare.whole(
        20, 1, 1000, "Most sessions of one user; a sign-in beyond it ends the one that has been idle for longest."
    )
