"""Sends mail through an SMTP server (RFC 5321), over a connection that is what the settings say or none at all."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from email.message import EmailMessage

from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from app.core.settings.sections.email import Email, Security
from app.features.mail.mailer import Mail, MailRefused
from app.features.mail.message import envelope_sender, message_of, recipient

GOODBYE = 1.0  # seconds for QUIT, when the mail has been taken already
LONGEST_ANSWER = 300  # characters of what the server says, kept as the reason


class SmtpMailer:
    """One connection for each mail: they are few, and a server closes one that is idle."""

    def __init__(self, settings: Email) -> None:
        self._settings = settings

    async def send(self, mail: Mail) -> None:
        """Within `email.timeout`, else `TimeoutError`. Raises `MailRefused` where the server refuses it for good.

        What it says against us (the login, the sender) is no refusal of the mail: that is mended by an operator.
        """
        sender = envelope_sender(self._settings.sender)  # raises before anything is sent
        message, to = message_of(mail, sender=self._settings.sender), recipient(mail.to)
        client = self._client()
        try:
            async with asyncio.timeout(self._settings.timeout):
                await client.connect()
                await _hand_over(client, message, sender, to)
            await _say_goodbye(client)
        finally:
            client.close()

    def _client(self) -> SMTP:
        """STARTTLS is asked for or not, never "if offered": who stands between could take the offer away."""
        settings = self._settings
        return SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user or None,
            password=settings.smtp_password.reveal() if settings.smtp_user else None,
            use_tls=settings.smtp_security is Security.TLS,
            start_tls=settings.smtp_security is Security.STARTTLS,
            local_hostname=socket.gethostname(),  # the library would ask DNS, and wait for it
            timeout=settings.timeout,
        )


async def _hand_over(client: SMTP, message: EmailMessage, sender: str, to: str) -> None:
    try:
        await client.send_message(message, sender=sender, recipients=[to])
    except SMTPRecipientsRefused as error:
        raise _judged(error.recipients[0]) from error
    except SMTPDataError as error:
        raise _judged(error) from error
    except SMTPNotSupported as error:
        raise MailRefused(error.message) from error


def _judged(error: SMTPResponseException) -> Exception:
    """RFC 5321, 4.2.1: 5yz is for good, 4yz may be otherwise another time."""
    said = f"the server said {error.code} {error.message[:LONGEST_ANSWER]}"
    return MailRefused(said) if error.code >= 500 else SMTPException(said)


async def _say_goodbye(client: SMTP) -> None:
    """The mail is the server's by now: whatever happens here, it must not be sent again."""
    with suppress(SMTPException, OSError, TimeoutError):
        async with asyncio.timeout(GOODBYE):
            await client.quit()
