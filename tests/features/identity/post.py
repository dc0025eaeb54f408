"""Mail of identity on its way: a server that takes it, a worker that sends it, and what stands in it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from app.bootstrap import FEATURES
from app.core.database import Database
from app.feature import registry_of
from tests.features.identity.people import API, PASSWORD
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp, StartWorker
from tests.harness.mail_server import MailServer, Received, open_mail_server
from tests.harness.stepped_worker import SteppedWorker

TOKEN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{64}(?![A-Za-z0-9_-])")
ADA = "ada@example.org"
ANOTHER_PASSWORD = "nine yellow lamps sail 58"
LIMITS = "rate_limit.mails_per_account=1000"  # of one account, in tests that ask more often than people do


@dataclass(frozen=True)
class Post:
    """A served application, the worker that does what it has asked for, and the server that takes the mail."""

    app: AppProcess
    worker: SteppedWorker
    server: MailServer

    async def ask(self, path: str, **body: Any) -> httpx.Response:
        return await self.app.http.post(f"{API}/auth{path}", json=body)

    async def register(self, email: str = ADA, password: str = PASSWORD, name: str = "Ada") -> httpx.Response:
        return await self.ask("/register", email=email, password=password, name=name)

    async def registered(self, email: str = ADA, password: str = PASSWORD) -> str:
        """Register, and give the token of the mail."""
        answer = await self.register(email, password)
        assert answer.status_code == 201, answer.text
        return token_of(await self.next_mail(email))

    async def forgotten(self, email: str = ADA) -> str:
        """Ask for a new password, and give the token of the mail."""
        answer = await self.ask("/password/reset-request", email=email)
        assert answer.status_code == 202, answer.text
        return token_of(await self.next_mail(email))

    async def next_mail(self, email: str = ADA) -> Received:
        """Have the worker do all there is to do; it must be one mail to them."""
        before = len(self.server.to(email))
        await self.worker.settle()
        (received,) = self.server.to(email)[before:]
        return received


@asynccontextmanager
async def open_post(app_process: StartApp, worker: StartWorker, *overrides: str) -> AsyncIterator[Post]:
    async with open_mail_server() as server:
        app = await app_process(LIMITS, *overrides)
        yield Post(app, await worker(registry_of(FEATURES), *server.settings()), server)


def token_of(received: Received) -> str:
    (token,) = TOKEN.findall(received.text)
    return str(token)


async def users(db: Database) -> list[str]:
    return [row["email"] for row in await db.fetch_all("SELECT email FROM users ORDER BY email")]


async def acts(db: Database) -> list[str]:
    """What was written down of what happened, in order."""
    rows = await db.fetch_all("SELECT event_type FROM outbox ORDER BY id")
    return [row["event_type"].removeprefix("identity.") for row in rows]
