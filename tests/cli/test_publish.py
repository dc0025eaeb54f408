"""`app publish`: a push from a shell reaches the sockets of a running server, or says why not."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from app.core.settings import PROJECT_ROOT
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.talking import talking

Answer = tuple[int, str, str]
PATIENT = "redis.timeout=5"


async def push(settings: TestSettings, *arguments: str, stdin: bytes = b"", **env: str) -> Answer:
    """Exit code, standard output and error of `app publish ...` in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", "--set", PATIENT, "publish", *arguments),
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"], **settings.environ, **env},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_a_push_reaches_who_listens(app_process: StartApp, settings: TestSettings) -> None:
    app = await app_process(module="tests.harness.realtime_routes")
    async with talking(app, "ada") as ada:
        told = await push(settings, "user:ada", '{"unread": 3}')
        heard = await ada.next()
        piped = await push(settings, "everyone", "-", stdin=b'"Hello"')
        notice = await ada.next()

    assert told == (0, "Pushed to whoever listens to user:ada.\n", "")
    assert (heard["topic"], heard["data"]) == ("user:ada", {"unread": 3})
    assert piped[0] == 0
    assert (notice["topic"], notice["data"]) == ("everyone", "Hello")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("everyone", "Hello"), "this is not JSON"),
        (("everyone", '{"a": 1, "a": 2}'), "an object has the same key twice"),
        (("Every One", "1"), "'Every One' is not the name of a topic."),
        (("everyone",), "Missing argument 'JSON'"),
        (("everyone", f'"{"x" * 70_000}"'), "bytes of JSON are more than 65536"),
    ],
)
async def test_what_cannot_be_pushed_is_bad_usage(
    settings: TestSettings, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, err = await push(settings, *arguments)

    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err


async def test_a_redis_that_is_away_is_told(settings: TestSettings) -> None:
    code, out, err = await push(settings, "everyone", "1", APP_REDIS__URL="redis://127.0.0.1:1/0")

    assert (code, out) == (3, "")
    assert err.endswith("Redis does not answer: nothing was pushed (see `app doctor`).\n")
    assert "Traceback" not in err
