"""The service that signs people in, at the moments that no client can choose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.core.callers import Caller
from app.core.database import Database, NoTransaction
from app.core.errors import Unauthorized, ValidationFailed
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.features.identity.errors import PasswordWrong, SignInFailed, TooManyTries
from app.features.identity.models import Visitor
from app.features.identity.service import sessions, tokens
from app.features.identity.service.ending import end_everything
from app.features.identity.service.password_change import Change, change_password
from app.features.identity.service.sign_in import Proven, prove_password, reauthenticate
from tests.features.identity.people import PATIENT, Person, make_person, open_session
from tests.harness.settings import TestSettings

HERE = Visitor("203.0.113.7", "a browser")
NEW = "another four walruses whistle 58"


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with open_resources(settings("session.max_per_user=3", PATIENT), Lifecycle()) as opened:
        yield opened


@pytest.fixture
async def ada(db: Database) -> Person:
    return await make_person(db, email="ada@people.example")


async def proof_of(resources: Resources, person: Person) -> Proven:
    return await prove_password(resources, HERE, email=person.email, password=person.password)


async def caller_of(resources: Resources, cookie: str) -> Caller | None:
    try:
        return (await sessions.caller_of(resources, cookie))[0]
    except Unauthorized:
        return None


async def events(db: Database, name: str) -> list[dict[str, Any]]:
    rows = await db.fetch_all(
        "SELECT payload FROM outbox WHERE event_type = :name ORDER BY id", {"name": f"identity.{name}"}
    )
    return [row["payload"] for row in rows]


async def test_a_sign_in_that_began_with_the_old_password_does_not_outlive_its_change(
    resources: Resources, ada: Person
) -> None:
    """One that only asks at its beginning opens a session just behind the change that was to end all of them."""
    proven = await proof_of(resources, ada)

    await change_password(resources, HERE, ada.id, None, Change(ada.password, NEW))

    with pytest.raises(SignInFailed):
        await sessions.open_session(resources, proven, HERE)
    with pytest.raises(SignInFailed):
        await tokens.issue(resources, proven, HERE)
    assert await resources.database.fetch_val("SELECT count(*) FROM sessions") == 0


async def test_a_sign_in_that_began_before_its_user_was_deactivated_fails(resources: Resources, ada: Person) -> None:
    proven = await proof_of(resources, ada)

    await resources.database.execute("UPDATE users SET is_active = false")

    with pytest.raises(SignInFailed):
        await sessions.open_session(resources, proven, HERE)


async def test_two_changes_of_one_password_at_once_are_one(resources: Resources, db: Database, ada: Person) -> None:
    changes = [Change(ada.password, f"{NEW} {each}") for each in range(3)]

    done = await asyncio.gather(
        *(change_password(resources, HERE, ada.id, None, change) for change in changes), return_exceptions=True
    )

    refused = [each for each in done if isinstance(each, Exception)]
    assert len(refused) == 2
    assert all(isinstance(each, SignInFailed | PasswordWrong) for each in refused)
    assert len(await events(db, "password_changed")) == 1


async def test_a_session_that_ends_meanwhile_changes_no_password(
    resources: Resources, db: Database, ada: Person
) -> None:
    cookie, _ = await open_session(db, ada)
    caller, _ = await sessions.caller_of(resources, cookie)
    session_id = (await sessions.list_sessions(resources, ada.id, current=None, before=None, limit=9))[0].id

    await sessions.revoke_session(resources, ada.id, session_id, HERE)  # between the gate and the change
    with pytest.raises(Unauthorized):
        await change_password(resources, HERE, ada.id, session_id, Change(ada.password, NEW))

    assert caller.id == str(ada.id)
    assert (await proof_of(resources, ada)).user.id == ada.id  # the password is as it was


async def test_sign_ins_at_once_keep_to_the_most(resources: Resources, db: Database, ada: Person) -> None:
    proven = await proof_of(resources, ada)

    opened = await asyncio.gather(*(sessions.open_session(resources, proven, HERE) for _ in range(8)))

    left = [each for each in opened if await caller_of(resources, each.cookie)]
    assert len(left) == 3
    assert await db.fetch_val("SELECT count(*) FROM sessions") == 3
    assert len(await events(db, "session_revoked")) == 5


async def test_two_browsers_that_change_hands_do_not_wait_for_each_other(
    resources: Resources, db: Database, ada: Person
) -> None:
    """Each signs in as the other's user, and so ends the other's session: two users in opposite orders."""
    eve = await make_person(db)
    pairs = [(await open_session(db, ada), await open_session(db, eve)) for _ in range(5)]
    of_ada, of_eve = await proof_of(resources, ada), await proof_of(resources, eve)

    async def change(proven: Proven, cookie: str) -> None:
        await sessions.end_cookies(resources, [cookie], HERE)
        await sessions.open_session(resources, proven, HERE)

    async with asyncio.timeout(20):
        for (ada_cookie, _), (eve_cookie, _) in pairs:
            await asyncio.gather(change(of_eve, ada_cookie), change(of_ada, eve_cookie))

    assert len(await events(db, "signed_out")) > 0


async def test_the_end_of_everything_leaves_keys_and_others_alone(
    resources: Resources, db: Database, ada: Person
) -> None:
    eve = await make_person(db)
    cookies = [(await open_session(db, each))[0] for each in (ada, ada, eve)]
    pairs = [await tokens.issue(resources, await proof_of(resources, each), HERE) for each in (ada, eve)]
    await db.execute(
        "INSERT INTO api_keys (name, key_prefix, key_hash, created_by) VALUES ('k', 'pk', sha256('x'), :id)",
        {"id": ada.id},
    )

    async with resources.database.transaction():
        await end_everything(resources, ada.id)

    assert [bool(await caller_of(resources, each)) for each in cookies] == [False, False, True]
    with pytest.raises(Unauthorized):
        await tokens.caller_of(resources, pairs[0].access_token)
    assert (await tokens.caller_of(resources, pairs[1].access_token)).id == str(eve.id)
    assert await db.fetch_val("SELECT count(*) FROM api_keys WHERE revoked_at IS NULL") == 1


async def test_the_end_of_everything_is_part_of_what_causes_it(resources: Resources, ada: Person) -> None:
    with pytest.raises(NoTransaction):
        await end_everything(resources, ada.id)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, "password"),
        ({"is_active": False}, "inactive"),
        ({"email_verified": False}, "unverified"),
    ],
)
async def test_a_refusal_is_written_down_with_its_reason(
    resources: Resources, db: Database, ada: Person, change: dict[str, bool], reason: str
) -> None:
    password = ada.password if change else "wrong and wrong and wrong"
    await db.execute(
        "UPDATE users SET is_active = :active, email_verified = :verified",
        {"active": change.get("is_active", True), "verified": change.get("email_verified", True)},
    )

    with pytest.raises(SignInFailed):
        await prove_password(resources, HERE, email=ada.email, password=password)

    assert await events(db, "sign_in_failed") == [
        {"user_id": str(ada.id), "by": None, "address": HERE.address, "about": reason}
    ]


async def test_a_refused_stranger_is_written_down_under_no_name(resources: Resources, db: Database) -> None:
    with pytest.raises(SignInFailed):
        await prove_password(resources, HERE, email="nobody@people.example", password="wrong and wrong and wrong")

    assert await events(db, "sign_in_failed") == [
        {"user_id": None, "by": None, "address": HERE.address, "about": "password"}
    ]


async def test_an_open_browser_is_no_way_to_guess_the_password(resources: Resources, ada: Person) -> None:
    most = resources.settings.rate_limit.sign_ins_per_account

    for _ in range(most):
        with pytest.raises(PasswordWrong):
            await reauthenticate(resources, HERE, ada.id, "wrong and wrong and wrong")

    with pytest.raises(TooManyTries):
        await reauthenticate(resources, HERE, ada.id, ada.password)


async def test_a_password_that_is_too_long_is_refused_before_anything_else(
    resources: Resources, db: Database, ada: Person
) -> None:
    with pytest.raises(ValidationFailed):
        await prove_password(resources, HERE, email=ada.email, password="x" * 1025)
    with pytest.raises(ValidationFailed):
        await reauthenticate(resources, HERE, ada.id, "x" * 1025)

    assert await events(db, "sign_in_failed") == []
