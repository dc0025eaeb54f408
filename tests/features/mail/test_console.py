"""Mail that is printed, for a person to read; and mail that is not sent at all."""

from __future__ import annotations

import pytest

from app.features.mail import Mail, mailer_of
from tests.harness.settings import TestSettings

MAIL = Mail("ada@example.org", "A new password", "Open this:\n\nhttps://example.org/#token=abc\n", "1")


async def test_a_printed_mail_can_be_read(settings: TestSettings, capsys: pytest.CaptureFixture[str]) -> None:
    mailer = mailer_of(settings("email.adapter=console"))
    assert mailer is not None

    await mailer.send(MAIL)

    printed = capsys.readouterr()
    lines = [line.removeprefix("  | ") for line in printed.err.splitlines()]
    assert "To: ada@example.org" in lines
    assert "Subject: A new password" in lines
    assert "https://example.org/#token=abc" in lines, "whole, so that it can be copied"
    assert printed.out == "", "the log's stream stays a stream of lines"


async def test_a_printed_mail_steers_no_terminal(settings: TestSettings, capsys: pytest.CaptureFixture[str]) -> None:
    mailer = mailer_of(settings("email.adapter=console"))
    assert mailer is not None

    await mailer.send(Mail(MAIL.to, "A\x1b[2Jb\r\nc", "d\x1b]0;e\x07", "1"))

    printed = capsys.readouterr().err
    assert all(each.isprintable() or each == "\n" for each in printed)


def test_mail_that_is_off_has_no_mailer(settings: TestSettings) -> None:
    assert mailer_of(settings("email.adapter=off")) is None
