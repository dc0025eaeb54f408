"""Section `email`, against a mail server on this machine."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
from aiosmtplib import SMTPException

from app.features.identity.service import mails
from app.features.mail import Mail, mailer_of
from tests.effects.case import Trial, limits, shows
from tests.effects.somebody import opened
from tests.harness.mail_server import (
    PASSWORD,
    USER,
    MailServer,
    Received,
    make_certificate,
    open_mail_server,
    open_mute_server,
)

MAIL = Mail("ada@example.org", "A subject", "A text.\n", "0190-4018")
URL = "https://web.example/page"


@shows("email.adapter", {"off": None, "console": "ConsoleMailer", "smtp": "SmtpMailer"})
def what_sends_mail(trial: Trial) -> str | None:
    mailer = mailer_of(trial.settings())
    return type(mailer).__name__ if mailer else None


@shows("email.sender", {"A <a@a.example>": "a@a.example", "b@b.example": "b@b.example"})
async def from_whom_it_comes(trial: Trial) -> str:
    async with open_mail_server() as server:
        (mail,) = await _sent(trial, server, *server.settings())
    return mail.sender


@shows("email.smtp_host", {"localhost": 1, "127.0.0.2": 0})
async def mails_that_a_server_on_localhost_takes(trial: Trial) -> int:
    async with open_mail_server() as server:
        return len(await _sent(trial, server, *_but("smtp_host", server)))


@shows("email.smtp_port", {"1": "1", "2": "2"})
async def the_port_at_which_there_was_nobody(trial: Trial) -> str:
    mailer = mailer_of(trial.settings("email.adapter=smtp", "email.smtp_security=none"))
    assert mailer is not None
    with pytest.raises(SMTPException) as refused:
        await mailer.send(MAIL)
    found = re.search(r"port (\d+)", str(refused.value))
    assert found
    return found[1]


@shows("email.smtp_user", {USER: 1, "somebody": 0})
async def mails_of_who_has_a_login(trial: Trial) -> int:
    return await _taken_with_login(trial, f"email.smtp_password={PASSWORD}")


@shows("email.smtp_password", {PASSWORD: 1, "a guess": 0})
async def mails_of_who_knows_its_password(trial: Trial) -> int:
    return await _taken_with_login(trial, f"email.smtp_user={USER}")


async def _taken_with_login(trial: Trial, *stage: str) -> int:
    """A server that asks for a login does so over TLS only, with a certificate that is trusted here."""
    certificate = make_certificate(trial.usual.root)
    with patch.dict(os.environ, SSL_CERT_FILE=str(certificate)):
        async with open_mail_server(certificate, security="starttls", login=True) as server:
            return len(await _sent(trial, server, *server.settings(), *stage))


@shows("email.smtp_security", {"none": 1, "starttls": 0})
async def mails_that_a_server_without_tls_is_given(trial: Trial) -> int:
    async with open_mail_server() as server:
        return len(await _sent(trial, server, *_but("smtp_security", server)))


@limits("email.timeout")
async def a_server_that_never_greets_is_given_up(trial: Trial) -> None:
    async with open_mute_server() as server:
        mailer = mailer_of(trial.settings(*server.settings()))
        assert mailer is not None
        with suppress(TimeoutError, SMTPException):
            await mailer.send(MAIL)
            raise AssertionError("it was sent")


@shows("email.verify_url", {"": False, URL: True})
async def a_mail_to_a_new_address_holds_a_link(trial: Trial) -> bool:
    async with opened(trial) as resources:
        return f"{URL}#token=sealed" in mails.verification(resources, "sealed", asked_at=datetime.now(UTC))


@shows("email.reset_url", {"": False, URL: True})
async def a_mail_about_a_forgotten_password_holds_a_link(trial: Trial) -> bool:
    async with opened(trial) as resources:
        return f"{URL}#token=sealed" in mails.reset(resources, "sealed")


def _but(name: str, server: MailServer) -> tuple[str, ...]:
    """What has mail sent to the server, but for the setting under trial."""
    return tuple(each for each in server.settings() if not each.startswith(f"email.{name}="))


async def _sent(trial: Trial, server: MailServer, *stage: str) -> list[Received]:
    """What the server has taken after one try."""
    mailer = mailer_of(trial.settings(*stage))
    assert mailer is not None
    with suppress(OSError, SMTPException):
        await mailer.send(MAIL)
    return server.received
