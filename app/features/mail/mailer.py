"""The port through which mail leaves. Those who send it are tasks: a mail server may take its time, or be away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Mail:
    """One mail to one person, in plain text. `id` is the same in every try, and becomes the Message-ID."""

    to: str
    subject: str
    text: str
    id: str


class MailRefused(Exception):
    """The server will never take this mail, as it says: another try is useless."""


class Mailer(Protocol):
    """Sends a mail, or raises: `MailRefused`, or anything else where another try may do."""

    async def send(self, mail: Mail) -> None: ...
