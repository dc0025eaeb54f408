"""A mail as it travels: headers that nobody can add to, and text that any mail program reads (RFC 5322)."""

from __future__ import annotations

import re
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, parseaddr

from app.features.mail.mailer import Mail, MailRefused

# No quoted local parts and no address literals: nobody has such an address, and every parser reads them in its own way.
ADDRESS = re.compile(r"""[^\s<>"(),:;\\\[\]@]+@[^\s<>"(),:;\\\[\]@]+""")


def message_of(mail: Mail, *, sender: str) -> EmailMessage:
    """Raises `MailRefused` for what can be no header, such as two lines, which would begin one of their own."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = _line(sender)
        message["To"] = recipient(mail.to)
        message["Subject"] = _line(mail.subject)
        message["Date"] = formatdate()
        # The same in every try: where a server took the mail and its answer was lost, the copies can be told for one.
        message["Message-ID"] = f"<{_line(mail.id)}@{envelope_sender(sender).rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody who is on holiday answers to it
        message.set_content(mail.text)
    except (ValueError, MessageError) as error:
        raise MailRefused(f"this can't be made a mail: {error}") from error
    return message


def is_address(text: str) -> bool:
    """Whether a mail could be sent there, as far as its form tells."""
    return text.isprintable() and ADDRESS.fullmatch(text) is not None


def recipient(address: str) -> str:
    """Whom the server is told; a domain beyond ASCII as DNS has it (RFC 5890). Raises `MailRefused`."""
    if not is_address(address):
        raise MailRefused("the recipient is not a mail address")
    local, _, domain = address.partition("@")
    try:
        return f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise MailRefused("the recipient's domain is none") from error


def envelope_sender(sender: str) -> str:
    """The bare address of `Name <address>`."""
    address = parseaddr(sender)[1]
    if not ADDRESS.fullmatch(address):
        raise ValueError("email.sender holds no mail address")
    return address


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("a header holds a line's end or another control character")
    return text
