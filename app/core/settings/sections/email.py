"""Section `email`: outgoing mail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.core.settings import declare
from app.core.settings.secret import Secret


class Adapter(StrEnum):
    """How a mail leaves."""

    OFF = "off"
    CONSOLE = "console"
    SMTP = "smtp"


class Security(StrEnum):
    """How the connection to the SMTP server is kept private."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """Outgoing mail."""

    adapter: Adapter = declare.choice(
        Adapter.CONSOLE,
        "How mail leaves: `smtp`; `console` prints it, for development; `off` sends none, and keeps what asks for it "
        "among the dead tasks.",
    )
    sender: str = declare.line("Plinth <plinth@localhost>", 320, "From whom mail comes.")
    smtp_host: str = declare.host("localhost", "Host of the SMTP server.")
    smtp_port: int = declare.whole(587, 1, 65_535, "Port of the SMTP server.")
    smtp_user: str = declare.line("", 255, "Login at the SMTP server; empty for none.")
    smtp_password: Secret = declare.optional_secret("Password of that login.")
    smtp_security: Security = declare.choice(
        Security.STARTTLS,
        "How that connection is kept private: `starttls` refuses a server that does not offer it, `tls` is for port "
        "465, `none` is for a server on this machine.",
    )
    timeout: float = declare.seconds(10.0, 0.1, 120, "The SMTP server has to take a mail within this time.")
    verify_url: str = declare.http_url(
        "The page of your front end that confirms an address; the token is put behind it as #token=. Without one the "
        "mail holds the bare token."
    )
    reset_url: str = declare.http_url("The same for the page that takes a new password.")
