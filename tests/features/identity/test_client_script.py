"""The client script of the docs does what it says, against a real server, with a mail that really comes."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core.database import Database
from app.core.settings import PROJECT_ROOT
from tests.features.identity.people import PASSWORD
from tests.features.identity.post import acts, open_post, token_of
from tests.harness.fixtures import StartApp, StartWorker

SCRIPT = PROJECT_ROOT / "docs" / "examples" / "identity_client.py"
ADA = "ada@example.org"
LIMIT = 60.0  # seconds; a loaded machine, not a slow script
STEPS = [
    f"registered: a mail is on its way to {ADA}",
    "the token of the mail, please:",
    f"verified: {ADA} is a user now, with the role user",
    "signed in: the service knows me as Ada",
    "refreshed: and still as Ada",
    "made a key: KEY... opens profile:read",
    "called with it: key",
    "it opens nothing else: 403 FORBIDDEN: This is for people who have signed in; an API key does not open it.",
    "rotated: KEY... and KEY... both hold: key, key",
    "revoked the old key: 401 UNAUTHORIZED: Sign in first, or send valid credentials.",
    "gave the tokens back: 401 UNAUTHORIZED: Sign in first, or send valid credentials.",
    "the new key goes on: key",
]
HAPPENED = [
    "registered",
    "email_verified",
    "tokens_issued",
    "key_created",
    "key_rotated",
    "key_revoked",
    "tokens_revoked",
]


@asynccontextmanager
async def script(*arguments: str, password: str = PASSWORD) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), *arguments),
        env={"PATH": os.environ["PATH"], "IDENTITY_PASSWORD": password},
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def lines_until(process: Process, last: str) -> list[str]:
    assert process.stdout
    lines: list[str] = []
    while not lines or last not in lines[-1]:
        line = await process.stdout.readline()
        assert line, f"it has ended: {lines}"
        lines.append(line.decode().rstrip("\n"))
    return lines


async def test_it_walks_the_whole_way(app_process: StartApp, worker: StartWorker, db: Database) -> None:
    async with open_post(app_process, worker) as post, script(post.app.url, ADA, "--name", "Ada") as process:
        assert process.stdin
        assert process.stdout
        lines = await lines_until(process, "the token of the mail")
        token = token_of(await post.next_mail(ADA))
        process.stdin.write(f"{token}\n".encode())
        await process.stdin.drain()
        lines += (await process.stdout.read()).decode().splitlines()
        code = await process.wait()

    prefixes = {row["key_prefix"] for row in await db.fetch_all("SELECT key_prefix FROM api_keys")}
    text = "\n".join(lines)
    assert token not in text
    assert PASSWORD not in text
    for prefix in prefixes:
        text = text.replace(prefix, "KEY")
    assert (text.splitlines(), code) == (STEPS, 0)
    assert len(prefixes) == 2
    assert await acts(db) == HAPPENED


async def test_it_says_in_one_line_what_was_refused(app_process: StartApp, worker: StartWorker) -> None:
    async with open_post(app_process, worker) as post, script(post.app.url, ADA, password="short") as process:
        assert process.stdout
        text = (await process.stdout.read()).decode()
        code = await process.wait()

    assert (code, text.count("\n")) == (1, 1)
    assert text.startswith("400 VALIDATION_ERROR: ")
