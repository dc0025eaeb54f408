"""A real SMTP server on a loopback port, with STARTTLS, TLS, a login, and bad moods of every kind."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from ipaddress import ip_address
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOST = "localhost"
USER, PASSWORD = "post", "made up for tests"
LINE_END = "\r\n"


@dataclass(frozen=True)
class Received:
    """One mail that the server took."""

    sender: str
    recipient: str
    message: EmailMessage
    encrypted: bool
    login: bool

    @property
    def text(self) -> str:
        content: str = self.message.get_content()
        return content.replace(LINE_END, "\n")


@dataclass
class MailServer:
    """`refusals` has the answer to RCPT for an address, `answer` the one to every mail; None is no answer at all."""

    port: int = 0
    security: str = "none"
    received: list[Received] = field(default_factory=list)
    refusals: dict[str, str] = field(default_factory=dict)
    answer: str | None = "250 taken"
    tries: int = 0  # logins, good and bad
    hung_up: int = 0  # connections to a mute server that the client has closed

    def settings(self, *, security: str | None = None) -> tuple[str, ...]:
        """Overrides that have mail sent here."""
        where = (f"email.smtp_host={HOST}", f"email.smtp_port={self.port}")
        return ("email.adapter=smtp", *where, f"email.smtp_security={security or self.security}")

    def to(self, address: str) -> list[Received]:
        return [each for each in self.received if each.recipient == address]

    # What aiosmtpd calls.

    async def handle_RCPT(  # noqa: N802  (its name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 known"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  (its name)
        if self.answer is None:
            await asyncio.get_running_loop().create_future()
        assert self.answer is not None
        if self.answer.startswith("250"):
            self._keep(session, envelope)
        return self.answer

    def _keep(self, session: Session, envelope: Envelope) -> None:
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=SMTP_POLICY)
        assert isinstance(message, EmailMessage)
        is_encrypted, has_login = session.ssl is not None or self.security == "tls", bool(session.authenticated)
        self.received += [
            Received(envelope.mail_from or "", to, message, is_encrypted, has_login) for to in envelope.rcpt_tos
        ]

    def authenticate(self, *about: object) -> AuthResult:
        self.tries += 1
        given = about[-1]
        assert isinstance(given, LoginPassword)
        return AuthResult(success=given == LoginPassword(USER.encode(), PASSWORD.encode()), handled=False)


@asynccontextmanager
async def open_mail_server(
    certificate: Path | None = None, *, security: str = "none", login: bool = False
) -> AsyncIterator[MailServer]:
    """`security` as in `email.smtp_security`; what is not `none` takes a certificate, with its key in the same file."""
    mails, context, talks = MailServer(security=security), None, list[SMTP]()
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def talk() -> SMTP:
        begun = SMTP(
            mails,
            hostname=HOST,
            enable_SMTPUTF8=True,
            tls_context=context if security == "starttls" else None,
            auth_required=login,
            auth_require_tls=security == "starttls",
            authenticator=mails.authenticate,
            loop=asyncio.get_running_loop(),
        )
        talks.append(begun)
        return begun

    served = context if security == "tls" else None
    server = await asyncio.get_running_loop().create_server(talk, "127.0.0.1", 0, ssl=served)
    mails.port = server.sockets[0].getsockname()[1]
    try:
        yield mails
    finally:
        server.close()
        await _hang_up(talks)


async def _hang_up(talks: list[SMTP]) -> None:
    """It would leave connections to the garbage collector that the client has closed."""
    for each in talks:
        if isinstance(each.transport, asyncio.Transport):
            each.transport.abort()
    for _ in range(3):  # turns of the loop until all have heard of it
        await asyncio.sleep(0)


@asynccontextmanager
async def open_mute_server() -> AsyncIterator[MailServer]:
    """It takes connections and says nothing; each in `tries`."""
    mails = MailServer()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mails.tries += 1
        await reader.read()
        writer.close()
        mails.hung_up += 1

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    mails.port = server.sockets[0].getsockname()[1]
    try:
        yield mails
    finally:
        server.close()


def make_certificate(folder: Path) -> Path:
    """For `localhost`, signed by itself, and its key: whoever is to trust it reads the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "mail.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return path
