"""Prints mail instead of sending it, where a developer sees it: on standard error, apart from the log."""

from __future__ import annotations

import sys
from email.utils import formatdate

from app.core.settings.sections.email import Email
from app.features.mail.mailer import Mail

WIDTH = 78
MARGIN = "  | "


class ConsoleMailer:
    """For development only: a printed mail holds what sets a new password, so production refuses this adapter."""

    def __init__(self, settings: Email) -> None:
        self._sender = settings.sender

    async def send(self, mail: Mail) -> None:
        """In one write, so that no line of the log comes between its lines."""
        sys.stderr.write(self._shown(mail))
        sys.stderr.flush()

    def _shown(self, mail: Mail) -> str:
        heads = {"From": self._sender, "To": mail.to, "Subject": mail.subject, "Date": formatdate(localtime=True)}
        lines = [f"{name}: {_visible(value)}" for name, value in heads.items()]
        lines += ["", *map(_visible, mail.text.rstrip("\n").split("\n"))]
        title = " mail, printed because email.adapter is console "
        body = "".join(f"{MARGIN}{line}".rstrip() + "\n" for line in lines)
        return f"\n  +{title:-^{WIDTH}}\n{body}  +{'':-^{WIDTH}}\n\n"


def _visible(text: str) -> str:
    """Control characters would steer the terminal; what this terminal can't write is shown as a question mark."""
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    encoding = sys.stderr.encoding or "utf-8"
    return shown.encode(encoding, "replace").decode(encoding)
