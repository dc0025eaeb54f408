"""Which adapter the mail leaves through."""

from __future__ import annotations

from app.core.settings import Settings
from app.core.settings.sections.email import Adapter
from app.features.mail.console import ConsoleMailer
from app.features.mail.mailer import Mailer


def mailer_of(settings: Settings) -> Mailer | None:
    """The one that `email.adapter` names; None where it is off."""
    match settings.email.adapter:
        case Adapter.OFF:
            return None
        case Adapter.CONSOLE:
            return ConsoleMailer(settings.email)
        case Adapter.SMTP:
            from app.features.mail.smtp import SmtpMailer  # noqa: PLC0415  (the library is large, and few need it)

            return SmtpMailer(settings.email)
