"""Who has an account here: nothing that a stranger sends to sign in tells it."""

from __future__ import annotations

import statistics
import time
from typing import Any

import httpx
import pytest

from app.core.database import Database
from tests.features.identity.people import PASSWORD, make_person
from tests.harness.fixtures import StartApp

LOGIN = "/api/v1/auth/login"
WRONG = "wrong and wrong and wrong"
EACH = 200  # tries, as the issue has it
PART, SECONDS = 0.05, 0.002  # of the median, or whole: the issue's own bounds


async def try_to(http: httpx.AsyncClient, email: str, password: str = WRONG) -> tuple[httpx.Response, float]:
    began = time.perf_counter()
    answer = await http.post(LOGIN, json={"email": email, "password": password})
    return answer, time.perf_counter() - began


def told(answer: httpx.Response) -> tuple[int, dict[str, Any], list[str]]:
    """All of it but what differs between two equal requests."""
    headers = sorted(
        f"{name}: {value}" for name, value in answer.headers.items() if name not in {"date", "x-request-id"}
    )
    return answer.status_code, {**answer.json(), "request_id": ""}, headers


async def test_a_refusal_says_nothing_of_the_account(app_process: StartApp, db: Database) -> None:
    http = (await app_process("rate_limit.enabled=false")).http
    known = await make_person(db)
    inactive = await make_person(db, active=False)
    unverified = await make_person(db, verified=False)
    elsewhere = await make_person(db)
    await db.execute("UPDATE users SET password_hash = NULL WHERE id = :id", {"id": elsewhere.id})
    nobody = "01a20069-1be2-7768-a7bd-67186be04825@people.example"

    answers = [
        told((await try_to(http, email, password))[0])
        for email, password in (
            (known.email, WRONG),
            (nobody, WRONG),
            (inactive.email, WRONG),
            (inactive.email, PASSWORD),
            (unverified.email, PASSWORD),
            (elsewhere.email, PASSWORD),
        )
    ]

    assert answers[0][0] == 401
    assert answers[1:] == answers[:-1]
    assert (await try_to(http, known.email, PASSWORD))[0].status_code == 200


@pytest.mark.alone
@pytest.mark.timeout(120)
async def test_a_refusal_takes_as_long_for_an_unknown_address(app_process: StartApp, db: Database) -> None:
    http = (await app_process("rate_limit.enabled=false")).http
    people = [await make_person(db) for _ in range(EACH)]
    times: dict[str, list[float]] = {"known": [], "unknown": []}
    for _ in range(20):
        await try_to(http, people[0].email)  # both warm up what the first few pay for

    for at, person in enumerate(people):
        asked = [("known", person.email), ("unknown", f"nobody-{person.id}@people.example"[:254])]
        for kind, email in asked if at % 2 else reversed(asked):
            answer, seconds = await try_to(http, email)
            assert answer.status_code == 401
            times[kind].append(seconds)

    known, unknown = (statistics.median(times[kind]) for kind in ("known", "unknown"))
    print(f"median of {EACH}: known {known * 1000:.2f} ms, unknown {unknown * 1000:.2f} ms")  # noqa: T201
    assert known > 0.010, "it hashes"
    assert abs(known - unknown) <= max(SECONDS, PART * known)
    rows = await db.fetch_all(
        "SELECT payload->>'user_id' IS NULL AS unknown, count(*) AS tries FROM outbox"
        " WHERE event_type = 'identity.sign_in_failed' GROUP BY 1 ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [(False, EACH + 20), (True, EACH)]


async def test_a_password_of_more_than_a_kilobyte_is_not_hashed(app_process: StartApp, db: Database) -> None:
    http = (await app_process("rate_limit.enabled=false")).http
    person = await make_person(db)
    too_long = ("x" * 1025, "ä" * 513, "x" * 900_000)

    answers = [(await try_to(http, person.email, password))[0] for password in too_long]
    longest = (await try_to(http, person.email, "ä" * 512))[0]

    assert [answer.status_code for answer in answers] == [400, 400, 413]
    assert [list(answer.json()["details"]) for answer in answers[:2]] == [["password"]] * 2
    assert longest.status_code == 401
    # Whatever is hashed and refused is written down; so exactly one was.
    assert await db.fetch_val("SELECT count(*) FROM outbox WHERE event_type = 'identity.sign_in_failed'") == 1
