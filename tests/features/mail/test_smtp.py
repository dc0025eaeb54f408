"""Mail through a real SMTP server: over what the settings say, to whom it is for, and not twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from aiosmtplib import SMTPException

from app.features.mail import Mail, MailRefused, mailer_of
from tests.harness.mail_server import PASSWORD, USER, MailServer, make_certificate, open_mail_server, open_mute_server
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

MAIL = Mail("ada@example.org", "Confirm your e-mail address", "Open this.\n", "0190-4018")
LOGIN = (f"email.smtp_user={USER}", f"email.smtp_password={PASSWORD}")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def _trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


async def send(
    settings: TestSettings, server: MailServer, mail: Mail = MAIL, *more: str, security: str | None = None
) -> None:
    mailer = mailer_of(settings(*server.settings(security=security), *more))
    assert mailer is not None
    sending = asyncio.create_task(mailer.send(mail))
    done, _ = await asyncio.wait({sending}, timeout=20)
    assert done, "no limit of its own has ended it"
    await sending


@pytest.mark.usefixtures("_trusted")
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_mail_goes_through_an_encrypted_connection(
    settings: TestSettings, certificate: Path, security: str
) -> None:
    async with open_mail_server(certificate, security=security) as server:
        await send(settings, server, MAIL, "email.sender=Plínth <post@plinth.example>")

    (received,) = server.received
    assert received.encrypted
    assert (received.sender, received.recipient) == ("post@plinth.example", MAIL.to)
    assert received.message["From"] == "Plínth <post@plinth.example>"
    assert (received.message["To"], received.message["Subject"]) == (MAIL.to, MAIL.subject)
    assert received.message["Message-ID"] == "<0190-4018@plinth.example>"
    assert received.message["Auto-Submitted"] == "auto-generated"
    assert received.text == MAIL.text


@pytest.mark.usefixtures("_trusted")
async def test_a_login_goes_through_starttls(settings: TestSettings, certificate: Path) -> None:
    async with open_mail_server(certificate, security="starttls", login=True) as server:
        await send(settings, server, MAIL, *LOGIN)

    assert [each.login for each in server.received] == [True]


async def test_a_server_without_starttls_gets_neither_mail_nor_login(settings: TestSettings) -> None:
    """ "If it is offered" would be in the clear as soon as somebody on the way takes the offer away."""
    async with open_mail_server() as server:
        with pytest.raises(SMTPException, match="STARTTLS"):
            await send(settings, server, MAIL, *LOGIN, security="starttls")
        refused = (len(server.received), server.tries)
        await send(settings, server, MAIL)

    assert refused == (0, 0)
    assert len(server.received) == 1, "the server would have taken it"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_server_with_a_certificate_that_nobody_vouches_for_gets_nothing(
    settings: TestSettings, certificate: Path, security: str
) -> None:
    async with open_mail_server(certificate, security=security, login=security == "starttls") as server:
        with pytest.raises((SMTPException, OSError), match=r"(?i)certificate"):
            await send(settings, server, MAIL, *LOGIN)

    assert (server.received, server.tries) == ([], 0)


@pytest.mark.usefixtures("_trusted")
async def test_a_wrong_login_is_the_operators_matter_and_no_refusal_of_the_mail(
    settings: TestSettings, certificate: Path
) -> None:
    async with open_mail_server(certificate, security="starttls", login=True) as server:
        with pytest.raises(SMTPException) as caught:
            await send(settings, server, MAIL, f"email.smtp_user={USER}", "email.smtp_password=another one")

    assert not isinstance(caught.value, MailRefused)
    assert (server.received, server.tries > 0) == ([], True)


@pytest.mark.parametrize(
    ("to_recipient", "to_mail", "for_good"),
    [
        ("550 5.1.1 no such user", "250 taken", True),
        ("450 4.2.1 later", "250 taken", False),
        ("421 4.3.2 shutting down", "250 taken", False),
        ("", "554 5.7.1 not this one", True),
        ("", "451 4.3.0 later", False),
    ],
)
async def test_what_the_server_refuses_for_good_is_told_from_what_it_may_take_later(
    settings: TestSettings, to_recipient: str, to_mail: str, *, for_good: bool
) -> None:
    async with open_mail_server() as server:
        server.refusals = {MAIL.to: to_recipient} if to_recipient else {}
        server.answer = to_mail
        with pytest.raises((MailRefused, SMTPException)) as caught:
            await send(settings, server)

    assert isinstance(caught.value, MailRefused) is for_good
    assert (to_recipient or to_mail)[4:] in str(caught.value)


async def test_a_server_that_never_greets_costs_the_timeout_and_no_connection(settings: TestSettings) -> None:
    async with open_mute_server() as server:
        with pytest.raises(TimeoutError):
            await send(settings, server, MAIL, "email.timeout=2")  # in which a busy machine connects
        await eventually(lambda: server.hung_up == 1, within=20)

    assert server.tries == 1, "it was never asked"


async def test_a_server_that_never_answers_to_a_mail_costs_the_timeout(settings: TestSettings) -> None:
    async with open_mail_server() as server:
        server.answer = None
        with pytest.raises(TimeoutError):
            await send(settings, server, MAIL, "email.timeout=0.5")

    assert server.received == []


@pytest.mark.parametrize(
    "mail",
    [
        replace(MAIL, subject="Hello\r\nBcc: all@example.org"),
        replace(MAIL, subject="Hello\nBcc: all@example.org"),
        replace(MAIL, to="ada@example.org\r\nBcc: all@example.org"),
        replace(MAIL, to="ada@example.org>\r\nRCPT TO:<all@example.org"),
        replace(MAIL, to="ada@example.org, all@example.org"),
        replace(MAIL, to="Ada <all@example.org>"),
        replace(MAIL, id="x@y>\r\nBcc: all@example.org"),
    ],
)
async def test_no_text_becomes_another_header_or_another_recipient(settings: TestSettings, mail: Mail) -> None:
    """Headers that are put together as text would have a line more, and the server a recipient."""
    async with open_mail_server() as server:
        with pytest.raises(MailRefused):
            await send(settings, server, mail)

    assert server.received == []


async def test_a_text_arrives_as_it_was_written(settings: TestSettings) -> None:
    text = "Grüße, 世界\n.\n..two dots\nFrom here on\n\n" + "a" * 2000
    text += "\nhttps://example.org/#token=" + "x" * 64 + "\n"

    async with open_mail_server() as server:
        await send(settings, server, replace(MAIL, text=text, subject="Grüße, 世界"))

    (received,) = server.received
    assert (received.text, received.message["Subject"]) == (text, "Grüße, 世界")


async def test_a_domain_beyond_ascii_is_sent_as_dns_has_it(settings: TestSettings) -> None:
    async with open_mail_server() as server:
        await send(settings, server, replace(MAIL, to="ada@münchen.example"))

    assert [each.recipient for each in server.received] == ["ada@xn--mnchen-3ya.example"]


async def test_every_try_has_the_same_message_id(settings: TestSettings) -> None:
    """A server that took the first, and whose answer was lost, can tell that it has it."""
    async with open_mail_server() as server:
        await send(settings, server)
        await send(settings, server)

    first, second = server.received
    assert first.message["Message-ID"] == second.message["Message-ID"]
