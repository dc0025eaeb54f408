"""The second factor against those who know the password: no code works twice, and nobody can try them all."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace

import pytest
from pyotp import TOTP
from structlog.testing import capture_logs

from app.core.database import Database
from app.core.resources import Resources
from app.features.identity.errors import (
    NoSecondFactor,
    PasswordWrong,
    SecondFactorNeeded,
    SecondFactorThere,
    SignInFailed,
    TooManyTries,
    WrongCode,
)
from app.features.identity.models import Visitor
from app.features.identity.repository import second_factors as rows
from app.features.identity.service import enrolment
from app.features.identity.service.second_factor import take_code
from app.features.identity.service.sign_in import prove_password
from app.features.identity.totp import step_of
from tests.features.identity.people import PATIENT, Person, make_person
from tests.features.identity.second_factors import HERE, STEP, Authenticator, allow_tries, enrol, timed_resources
from tests.harness.clock import FakeClock
from tests.harness.settings import TestSettings

MANY = 20
# The first right code takes the count back to 0, so that some of those behind it are one too many.
ENDED = {"ok", "WrongCode", "TooManyTries"}
PARALLEL = "database.pool_max=10"


@pytest.fixture
async def resources(settings: TestSettings, clock: FakeClock) -> AsyncIterator[Resources]:
    async with timed_resources(settings(PARALLEL), clock) as opened:
        yield opened


@pytest.fixture
async def person(db: Database) -> Person:
    return await make_person(db)


async def outcomes(tries: list[Awaitable[object]]) -> Counter[str]:
    """How often each ended how: `ok`, or the name of its refusal."""
    ended = await asyncio.gather(*tries, return_exceptions=True)
    return Counter(type(each).__name__ if isinstance(each, BaseException) else "ok" for each in ended)


async def column(db: Database, name: str) -> object:
    return await db.fetch_val(f"SELECT {name} FROM second_factors")  # noqa: S608  (named by the tests)


async def test_a_code_is_asked_for_once_the_first_one_has_come(resources: Resources, person: Person) -> None:
    begun = await enrolment.begin(resources, HERE, person.id, password=person.password)
    before = await prove_password(resources, HERE, email=person.email, password=person.password)
    app = Authenticator(begun.secret)
    codes = await enrolment.confirm(resources, HERE, person.id, code=app.code(resources.clock.now()))

    with pytest.raises(SecondFactorNeeded) as needed:
        await prove_password(resources, HERE, email=person.email, password=person.password)
    code = app.code(resources.clock.now(), steps=1)
    after = await prove_password(resources, HERE, email=person.email, password=person.password, code=code)

    assert (before.user.second_factor, after.user.second_factor, len(codes)) == (False, True, 10)
    assert needed.value.details == {"second_factor": "required"}


async def test_beginning_anew_voids_the_secret_before(resources: Resources, person: Person) -> None:
    first = await enrolment.begin(resources, HERE, person.id, password=person.password)
    second = await enrolment.begin(resources, HERE, person.id, password=person.password)
    now = resources.clock.now()

    with pytest.raises(WrongCode):
        await enrolment.confirm(resources, HERE, person.id, code=Authenticator(first.secret).code(now))
    await enrolment.confirm(resources, HERE, person.id, code=Authenticator(second.secret).code(now))

    with pytest.raises(SecondFactorThere):
        await enrolment.begin(resources, HERE, person.id, password=person.password)


async def test_it_is_confirmed_once(resources: Resources, person: Person, db: Database) -> None:
    begun = await enrolment.begin(resources, HERE, person.id, password=person.password)
    code = Authenticator(begun.secret).code(resources.clock.now())

    ended = await outcomes([enrolment.confirm(resources, HERE, person.id, code=code) for _ in range(8)])

    assert ended["ok"] == 1
    assert set(ended) <= {"ok", "WrongCode", "SecondFactorThere"}
    assert await db.fetch_val("SELECT count(*) FROM recovery_codes") == 10


async def test_the_code_that_confirmed_it_does_not_sign_in(resources: Resources, person: Person) -> None:
    app = await enrol(resources, person)

    code = app.code(resources.clock.now())
    with pytest.raises(SignInFailed) as refused:
        await prove_password(resources, HERE, email=person.email, password=person.password, code=code)

    assert refused.value.details == {"second_factor": "wrong"}


async def test_of_many_uses_of_one_code_at_once_one_is_taken(
    resources: Resources, person: Person, db: Database
) -> None:
    app = await enrol(resources, person)
    code = app.code(resources.clock.now(), steps=1)
    await allow_tries(db, person, tries=MANY)

    ended = await outcomes([take_code(resources, HERE, person.id, code) for _ in range(MANY)])

    assert (ended["ok"], ended.total()) == (1, MANY)
    assert set(ended) <= ENDED


async def test_looking_before_writing_would_take_a_code_many_times(
    resources: Resources, person: Person, db: Database
) -> None:
    """The control: what the conditional UPDATE is for."""
    app = await enrol(resources, person)
    step = step_of(app.secret, app.code(resources.clock.now(), steps=1), resources.clock.now())
    all_have_looked = asyncio.Barrier(MANY)

    async def naive() -> bool:
        last = await db.fetch_val("SELECT last_step FROM second_factors")
        await all_have_looked.wait()
        if step is None or last >= step:
            return False
        await db.execute("UPDATE second_factors SET last_step = :step", {"step": step})
        return True

    taken = await asyncio.gather(*(naive() for _ in range(MANY)))

    assert sum(taken) == MANY


async def test_a_used_code_is_refused_although_its_time_is_not_over(
    resources: Resources, person: Person, clock: FakeClock
) -> None:
    app = await enrol(resources, person)
    clock.advance(STEP)
    code = app.code(clock.now())
    await take_code(resources, HERE, person.id, code)

    with pytest.raises(WrongCode):
        await take_code(resources, HERE, person.id, code)
    clock.advance(STEP)
    with pytest.raises(WrongCode):
        await take_code(resources, HERE, person.id, code)

    assert TOTP(app.secret).verify(code, for_time=clock.now(), valid_window=1), "the naive check takes it still"


async def test_the_code_of_the_next_step_is_not_taken_again_when_its_time_has_come(
    resources: Resources, person: Person, clock: FakeClock
) -> None:
    app = await enrol(resources, person)
    early = app.code(clock.now(), steps=1)
    await take_code(resources, HERE, person.id, early)

    clock.advance(STEP)
    with pytest.raises(WrongCode):
        await take_code(resources, HERE, person.id, early)

    await take_code(resources, HERE, person.id, app.code(clock.now(), steps=1))


async def test_a_code_older_than_the_last_one_is_refused_although_nobody_has_used_it(
    resources: Resources, person: Person, clock: FakeClock
) -> None:
    """Somebody looked over a shoulder, while the owner waited for the next one: a list of used codes knows nothing."""
    app = await enrol(resources, person)
    clock.advance(2 * STEP)
    seen, used = app.code(clock.now()), app.code(clock.now(), steps=1)
    await take_code(resources, HERE, person.id, used)

    with pytest.raises(WrongCode):
        await take_code(resources, HERE, person.id, seen)


async def test_of_many_uses_of_one_recovery_code_at_once_one_is_taken(
    resources: Resources, person: Person, db: Database
) -> None:
    app = await enrol(resources, person)
    await allow_tries(db, person, tries=MANY)

    ended = await outcomes([take_code(resources, HERE, person.id, app.recovery_codes[0]) for _ in range(MANY)])
    await allow_tries(db, person, tries=MANY)
    again = await outcomes([take_code(resources, HERE, person.id, app.recovery_codes[0])])
    another = await outcomes([take_code(resources, HERE, person.id, app.recovery_codes[1].lower().replace("-", " "))])

    assert (ended["ok"], ended.total()) == (1, MANY)
    assert set(ended) <= ENDED
    assert (again, another) == ({"WrongCode": 1}, {"ok": 1})
    assert (await enrolment.tell_state(resources, person.id)).recovery_codes_left == 8
    used = "SELECT count(*) FROM outbox WHERE event_type = 'identity.recovery_code_used'"
    assert await db.fetch_val(used) == 2


async def test_a_recovery_code_looked_up_before_it_is_deleted_would_be_taken_many_times(
    resources: Resources, person: Person, db: Database
) -> None:
    """The control: what DELETE ... RETURNING is for."""
    app = await enrol(resources, person)
    values = {"hash": hashlib.sha256(app.recovery_codes[0].replace("-", "").encode()).digest()}
    all_have_looked = asyncio.Barrier(MANY)

    async def naive() -> bool:
        found = await db.fetch_val("SELECT count(*) FROM recovery_codes WHERE code_hash = :hash", values)
        await all_have_looked.wait()
        await db.execute("DELETE FROM recovery_codes WHERE code_hash = :hash", values)
        return bool(found)

    taken = await asyncio.gather(*(naive() for _ in range(MANY)))

    assert sum(taken) == MANY


async def test_a_recovery_code_of_somebody_else_is_none(resources: Resources, person: Person, db: Database) -> None:
    await enrol(resources, person)
    other = await enrol(resources, await make_person(db))

    with pytest.raises(WrongCode):
        await take_code(resources, HERE, person.id, other.recovery_codes[0])

    assert await db.fetch_val("SELECT count(*) FROM recovery_codes") == 20


async def test_new_recovery_codes_void_the_old_ones(resources: Resources, person: Person) -> None:
    app = await enrol(resources, person)
    code = app.code(resources.clock.now(), steps=1)

    new = await enrolment.renew_recovery_codes(resources, HERE, person.id, password=person.password, code=code)

    with pytest.raises(WrongCode):
        await take_code(resources, HERE, person.id, app.recovery_codes[0])
    await take_code(resources, HERE, person.id, new[0])
    assert len({*new, *app.recovery_codes}) == 20


async def test_guessing_has_to_wait_wherever_it_comes_from(resources: Resources, person: Person, db: Database) -> None:
    """Who knows the password and counts by address gets a million tries from a million addresses."""
    app = await enrol(resources, person)
    wrong, right = app.wrong_code(resources.clock.now()), app.code(resources.clock.now(), steps=1)

    async def guess(number: int, code: str) -> None:
        visitor = Visitor(f"198.51.100.{number}")
        await prove_password(resources, visitor, email=person.email, password=person.password, code=code)

    guesses = [await outcomes([guess(number, wrong)]) for number in range(rows.FREE_FAILURES)]
    with pytest.raises(TooManyTries) as held:
        await guess(99, right)
    failures = await column(db, "failures")
    await db.execute("UPDATE second_factors SET next_try_at = now()")
    await guess(100, right)

    assert guesses == [{"SignInFailed": 1}] * rows.FREE_FAILURES
    assert held.value.retry_after in range(1, 31)
    assert failures == rows.FREE_FAILURES, "a try that has to wait is none"
    assert await column(db, "failures") == 0


async def test_each_wait_is_twice_the_one_before_up_to_an_hour(
    resources: Resources, person: Person, db: Database
) -> None:
    await enrol(resources, person)
    await allow_tries(db, person, tries=1)
    waits = []

    for _ in range(10):
        await rows.take_try(db, person.id, confirmed=True)
        waits.append(await db.fetch_val("SELECT extract(epoch FROM next_try_at - updated_at)::int FROM second_factors"))
        await db.execute("UPDATE second_factors SET next_try_at = now()")

    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


async def test_of_many_guesses_at_once_no_more_are_looked_at(resources: Resources, person: Person) -> None:
    app = await enrol(resources, person)
    wrong = app.wrong_code(resources.clock.now())

    ended = await outcomes([take_code(resources, HERE, person.id, wrong) for _ in range(5 * rows.FREE_FAILURES)])

    assert ended == {"WrongCode": rows.FREE_FAILURES, "TooManyTries": 4 * rows.FREE_FAILURES}


async def test_the_right_password_alone_forgets_no_failures(settings: TestSettings, clock: FakeClock) -> None:
    """Where it does, whoever knows the password starts each ten codes afresh."""
    async with timed_resources(settings("rate_limit.sign_ins_per_account=3", PATIENT), clock) as resources:
        person = await make_person(resources.database)
        app = await enrol(resources, person)
        wrong, right = app.wrong_code(clock.now()), app.code(clock.now(), steps=1)

        tries = [
            await outcomes([prove_password(resources, HERE, email=person.email, password=person.password, code=code)])
            for code in (wrong, wrong, wrong, right)
        ]

        assert tries == [{"SignInFailed": 1}] * 3 + [{"TooManyTries": 1}]
        assert await column(resources.database, "failures") == 3


async def test_a_session_alone_can_neither_guess_nor_use_up_the_tries_of_its_owner(
    resources: Resources, person: Person, db: Database
) -> None:
    app = await enrol(resources, person)

    ended = await outcomes(
        [enrolment.confirm(resources, HERE, person.id, code=app.wrong_code(resources.clock.now())) for _ in range(15)]
    )

    assert ended == {"SecondFactorThere": 15}
    assert await column(db, "failures") == 0


async def test_the_first_code_can_not_be_guessed_either(resources: Resources, person: Person) -> None:
    """Who gets hold of the browser while its owner scans the QR code would be given the recovery codes."""
    begun = await enrolment.begin(resources, HERE, person.id, password=person.password)
    wrong = Authenticator(begun.secret).wrong_code(resources.clock.now())

    ended = await outcomes([enrolment.confirm(resources, HERE, person.id, code=wrong) for _ in range(15)])

    assert ended == {"WrongCode": 10, "TooManyTries": 5}


async def test_neither_secret_nor_codes_can_be_read_in_the_database_or_the_log(
    resources: Resources, person: Person, db: Database
) -> None:
    with capture_logs() as logs:
        app = await enrol(resources, person)
        await take_code(resources, HERE, person.id, app.recovery_codes[0])

    tables = ("second_factors", "recovery_codes", "outbox", "tasks")
    dumped = [await db.fetch_all(f"SELECT CAST(t AS text) AS row FROM {table} AS t") for table in tables]  # noqa: S608
    text = " ".join(row["row"] for rows_ in dumped for row in rows_) + str(logs)
    stored = await column(db, "secret")
    assert isinstance(stored, bytes)
    plain = [app.secret, *app.recovery_codes, *(code.replace("-", "") for code in app.recovery_codes)]
    # `bytea` is printed in hex, which hides nothing.
    spellings = [word for each in plain for word in (each, each.encode().hex(), each.lower())]
    assert len(dumped[0]) == 1
    assert len(dumped[1]) == 9
    assert [word for word in spellings if word in text] == []
    assert app.secret.encode() not in stored


async def test_removing_needs_the_password_and_a_code(resources: Resources, person: Person) -> None:
    app = await enrol(resources, person)
    wrong, right = app.wrong_code(resources.clock.now()), app.code(resources.clock.now(), steps=1)

    with pytest.raises(PasswordWrong):
        await enrolment.remove(resources, HERE, person.id, password="not it", code=right)
    with pytest.raises(WrongCode):
        await enrolment.remove(resources, HERE, person.id, password=person.password, code=wrong)
    still = await enrolment.tell_state(resources, person.id)
    await enrolment.remove(resources, HERE, person.id, password=person.password, code=right)

    assert still.confirmed
    assert await enrolment.tell_state(resources, person.id) == enrolment.SecondFactorState(False, 0)
    await prove_password(resources, HERE, email=person.email, password=person.password)
    with pytest.raises(NoSecondFactor):
        await enrolment.remove(resources, HERE, person.id, password=person.password, code=right)


async def test_what_happens_to_it_is_written_down(resources: Resources, person: Person, db: Database) -> None:
    app = await enrol(resources, person)
    wrong, code = app.wrong_code(resources.clock.now()), app.code(resources.clock.now(), steps=1)
    with pytest.raises(SignInFailed):
        await prove_password(resources, HERE, email=person.email, password=person.password, code=wrong)
    await enrolment.remove(resources, HERE, person.id, password=person.password, code=code)

    events = await db.fetch_all("SELECT event_type, payload FROM outbox ORDER BY id")

    assert [row["event_type"].removeprefix("identity.") for row in events] == [
        "second_factor_added",
        "recovery_codes_made",
        "sign_in_failed",
        "second_factor_removed",
    ]
    assert [row["payload"]["user_id"] for row in events] == [str(person.id)] * 4
    assert (events[2]["payload"]["about"], events[2]["payload"]["address"]) == ("second_factor", HERE.address)


async def test_its_owner_is_told_by_mail(resources: Resources, person: Person, db: Database) -> None:
    """Who finds an open browser and knows the password would otherwise do it unnoticed (ASVS 6.3.7)."""
    app = await enrol(resources, person)
    code = app.recovery_codes[0]
    await enrolment.remove(resources, HERE, person.id, password=person.password, code=code)

    asked = await db.fetch_all("SELECT payload FROM tasks WHERE task_type = 'identity.send_notice' ORDER BY id")

    told = [(row["payload"]["user_id"], row["payload"]["about"]) for row in asked]
    about = ("second_factor_added", "recovery_code_used", "second_factor_removed")
    assert told == [(str(person.id), each) for each in about]


async def test_a_change_of_the_secret_is_survived_and_followed(
    settings: TestSettings, clock: FakeClock, resources: Resources, person: Person
) -> None:
    app = await enrol(resources, person)
    old, new = resources.settings.session.secret.reveal(), "n" * 40
    changed = settings(f"session.secret={new}", f"session.previous_secret={old}")
    forgotten = settings(f"session.secret={new}")

    await take_code(replace(resources, settings=changed), HERE, person.id, app.code(clock.now(), steps=1))
    clock.advance(2 * STEP)
    await take_code(replace(resources, settings=forgotten), HERE, person.id, app.code(clock.now()))

    with pytest.raises(WrongCode):  # it is encrypted with the new secret by now
        await take_code(resources, HERE, person.id, app.code(clock.now(), steps=1))


async def test_where_the_secret_is_lost_codes_are_refused_and_recovery_codes_hold(
    settings: TestSettings, clock: FakeClock, resources: Resources, person: Person
) -> None:
    app = await enrol(resources, person)
    lost = replace(resources, settings=settings(f"session.secret={'n' * 40}"))

    code = app.code(clock.now(), steps=1)
    with capture_logs() as logs, pytest.raises(SignInFailed):
        await prove_password(lost, HERE, email=person.email, password=person.password, code=code)
    signed_in = await prove_password(
        lost, HERE, email=person.email, password=person.password, code=app.recovery_codes[3].lower()
    )

    [line] = [each for each in logs if each["event"] == "second_factor_unreadable"]
    assert (line["log_level"], line["user_id"]) == ("error", str(person.id))
    assert signed_in.user.id == person.id
    assert not re.search(r"\b\d{6}\b", str(logs)), "no code in the log"
