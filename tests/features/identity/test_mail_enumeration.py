"""Who is here: neither an answer nor its time tells, to those who register or have forgotten a password."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median

import httpx
import pytest

from app.core.database import Database
from tests.features.identity import naive_routes
from tests.features.identity.people import PASSWORD, PATIENT, make_person
from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp
from tests.harness.mail_server import open_mail_server

KNOWN = "ada-0000@example.org"
VARYING = {"date", "x-request-id", "traceparent"}
# The issue's own bounds: 5 % of the time, or 2 ms.
SHARE, LEAST = 0.05, 0.002


@dataclass(frozen=True)
class Times:
    """Medians, in seconds."""

    known: float
    unknown: float

    @property
    def tell(self) -> bool:
        return abs(self.known - self.unknown) > max(SHARE * self.unknown, LEAST)

    def __str__(self) -> str:
        return f"known {self.known * 1000:.1f} ms, unknown {self.unknown * 1000:.1f} ms"


Ask = Callable[[str], Awaitable[httpx.Response]]
Figure = Callable[[str], None]


def registering(app: AppProcess, prefix: str = "/api/v1/auth") -> Ask:
    return lambda email: app.http.post(f"{prefix}/register", json={"email": email, "password": PASSWORD, "name": "Ada"})


def forgetting(app: AppProcess, prefix: str = "/api/v1/auth") -> Ask:
    return lambda email: app.http.post(f"{prefix}/password/reset-request", json={"email": email})


async def measured(ask: Ask, *, n: int) -> Times:
    """`n` of each, one after the other in turn, so that whatever else goes on weighs on both."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(-4, 2 * n):
        email = KNOWN if number % 2 else f"ada-{number + 1000:04}@example.org"
        began = time.perf_counter()
        answer = await ask(email)
        if number >= 0:
            times[number % 2].append(time.perf_counter() - began)
        assert answer.status_code in {201, 202}, answer.text
    return Times(known=median(times[1]), unknown=median(times[0]))


@pytest.mark.parametrize("way", [registering, forgetting])
async def test_the_answer_is_the_same_to_the_byte(
    app_process: StartApp, db: Database, way: Callable[[AppProcess], Ask]
) -> None:
    await make_person(db, email=KNOWN)
    await make_person(db, email="ada-0001@example.org", active=False)
    app = await app_process("rate_limit.mails_per_account=100", PATIENT)

    answers = [await way(app)(email) for email in (KNOWN, "ada-0001@example.org", "ada-0002@example.org")]

    assert {answer.request.content.count(b"ada-") for answer in answers} == {1}
    told = [
        (
            answer.status_code,
            answer.content.replace(email.encode(), b"ADDRESS"),
            {name: value for name, value in answer.headers.items() if name not in VARYING | {"x-ratelimit-remaining"}},
        )
        for answer, email in zip(answers, (KNOWN, "ada-0001@example.org", "ada-0002@example.org"), strict=True)
    ]
    assert told[0] == told[1] == told[2]
    assert b"ADDRESS" in told[0][1]


@pytest.mark.alone
async def test_the_time_of_a_reset_request_does_not_tell_who_is_here(
    app_process: StartApp, db: Database, figure: Figure
) -> None:
    await make_person(db, email=KNOWN)
    async with open_mail_server() as server:
        app = await app_process("rate_limit.enabled=false", *server.settings(), module=naive_routes.__name__)

        naive = await measured(forgetting(app, "/api/v1/naive"), n=20)
        ours = await measured(forgetting(app), n=200)

    figure(f"reset-request, medians of 200: {ours}; naive, of 20: {naive}")
    assert naive.tell, "else nothing can be measured here"
    assert not ours.tell


@pytest.mark.alone
@pytest.mark.timeout(240)  # each of them hashes a password
async def test_the_time_of_registering_does_not_tell_who_is_here(
    app_process: StartApp, db: Database, figure: Figure
) -> None:
    await make_person(db, email=KNOWN)
    app = await app_process("rate_limit.enabled=false", module=naive_routes.__name__)

    naive = await measured(registering(app, "/api/v1/naive"), n=20)
    ours = await measured(registering(app), n=200)

    figure(f"register, medians of 200: {ours}; naive, of 20: {naive}")
    assert naive.tell, "else nothing can be measured here"
    assert not ours.tell
