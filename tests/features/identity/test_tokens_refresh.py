"""A refresh token is used once: one successor however many ask, and the end of its sign-in where it comes back late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextvars import Context
from dataclasses import dataclass
from uuid import UUID

import pytest

from app.core.database import Database
from app.core.errors import Unauthorized
from app.core.resources import Resources
from app.features.identity.errors import BadRefreshToken
from app.features.identity.repository import tokens as repository
from app.features.identity.sealing import seal
from app.features.identity.service import tokens
from app.features.identity.service.ending import end_everything
from app.features.identity.service.renewal import renew
from app.features.identity.service.token_pairs import Pair
from tests.features.identity.people import PATIENT, Person, make_person
from tests.features.identity.programs import (
    HERE,
    events_of,
    family_of,
    grow_old,
    issued,
    refreshed,
    resources_of,
    said_by,
    socket_of,
    status_of,
)
from tests.harness.fixtures import StartApp
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

AT_ONCE = 50


@dataclass(frozen=True)
class Program:
    """Whoever has signed in, and what they were given."""

    person: Person
    pair: Pair


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with resources_of(settings()) as opened:
        yield opened


@pytest.fixture
async def program(resources: Resources, db: Database) -> Program:
    person = await make_person(db)
    return Program(person, await issued(resources, person))


async def refused(resources: Resources, refresh_token: str) -> None:
    with pytest.raises(BadRefreshToken):
        await renew(resources, HERE, refresh_token)


async def count_refresh_tokens(db: Database) -> int:
    found = await db.fetch_val("SELECT count(*) FROM jwt_tokens WHERE token_type = 'refresh'")
    return int(found)


async def count_holding(db: Database) -> int:
    found = await db.fetch_val("SELECT count(*) FROM jwt_tokens WHERE NOT revoked")
    return int(found)


async def test_new_tokens_are_of_the_same_sign_in_and_end_with_it(
    resources: Resources, program: Program, db: Database
) -> None:
    first = program.pair
    await db.execute("UPDATE jwt_tokens SET expires_at = now() + interval '8 minutes' WHERE token_type = 'refresh'")

    second = await renew(resources, HERE, first.refresh_token)

    ends = await db.fetch_all("SELECT DISTINCT expires_at FROM jwt_tokens WHERE token_type = 'refresh'")
    access = await db.fetch_existing(
        "SELECT created_at, expires_at FROM jwt_tokens WHERE jti = :jti", {"jti": _jti(second)}
    )
    lifetime = (access["expires_at"] - access["created_at"]).total_seconds()
    assert (second.access_token, second.refresh_token) != (first.access_token, first.refresh_token)
    assert family_of(second) == family_of(first)
    assert len(ends) == 1, "nobody stays signed in by renewing"
    assert access["expires_at"] == ends[0]["expires_at"], "no access token outlives its sign-in"
    assert abs(second.expires_in - lifetime) < 1
    assert second.expires_in <= 480
    assert (await tokens.caller_of(resources, first.access_token)).id == str(program.person.id), "requests under way"
    assert (await tokens.caller_of(resources, second.access_token)).id == str(program.person.id)


def _jti(pair: Pair) -> UUID:
    return UUID(said_by(pair.access_token)["jti"])


async def test_whoever_has_missed_the_answer_gets_the_same_one_again(
    settings: TestSettings, program: Program, db: Database
) -> None:
    async with resources_of(settings("jwt.retry_window=60")) as resources:
        answer = await renew(resources, HERE, program.pair.refresh_token)

        await grow_old(db, 50)
        again = await renew(resources, HERE, program.pair.refresh_token)

    assert again == answer
    assert await count_refresh_tokens(db) == 2
    assert await events_of(db, "token_reused") == []


async def test_fifty_uses_at_once_on_two_instances_give_one_successor(
    app_process: StartApp, program: Program, db: Database
) -> None:
    apps = [await app_process("rate_limit.enabled=false", PATIENT) for _ in range(2)]

    asking = [refreshed(apps[each % 2], program.pair.refresh_token) for each in range(AT_ONCE)]
    answers = await asyncio.gather(*asking)

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert await count_refresh_tokens(db) == 2, "the first and its one successor"
    assert await status_of(apps[0], answers[0].json()["access_token"]) == 201


async def test_a_naive_service_gives_fifty_successors(resources: Resources, program: Program, db: Database) -> None:
    """The control of the test above: it looks whether the token is used, and then uses it."""
    family = family_of(program.pair)
    looked = asyncio.Barrier(AT_ONCE)

    async def naive() -> None:
        used = await db.fetch_val("SELECT revoked FROM jwt_tokens WHERE token_type = 'refresh'")
        await looked.wait()
        if not used:
            async with db.transaction():
                await db.execute("UPDATE jwt_tokens SET revoked = true, revoked_at = now() WHERE NOT revoked")
                settings, user_id = resources.settings.jwt, program.person.id
                await repository.insert_pair(db, user_id=user_id, family_id=family, settings=settings)

    await asyncio.gather(*(naive() for _ in range(AT_ONCE)))

    assert await count_refresh_tokens(db) == 1 + AT_ONCE


async def test_a_late_replay_ends_the_sign_in_and_its_sockets_on_every_instance(
    app_process: StartApp, program: Program, db: Database
) -> None:
    apps = [await app_process() for _ in range(2)]
    stolen = program.pair.refresh_token
    second = (await refreshed(apps[0], stolen)).json()
    other = (await refreshed(apps[1], second["refresh_token"])).json()
    await grow_old(db, 11)

    async with socket_of(apps[0], other["access_token"]) as near, socket_of(apps[1], second["access_token"]) as far:
        answer = await refreshed(apps[0], stolen)
        ends = [await near.ended(), await far.ended()]

    (reuse,) = await events_of(db, "token_reused")
    everything = [program.pair.access_token, second["access_token"], other["access_token"]]
    assert answer.status_code == 401
    assert [code for code, _ in ends] == [1008, 1008]
    assert (reuse["user_id"], reuse["about"]) == (str(program.person.id), str(family_of(program.pair)))
    assert [await status_of(app, token) for app in apps for token in everything] == 6 * [401]
    assert (await refreshed(apps[1], other["refresh_token"])).status_code == 401
    assert await count_holding(db) == 0


async def test_a_naive_service_undoes_the_end_of_the_family_with_its_own_answer(
    resources: Resources, program: Program
) -> None:
    """The control of the test above: raising the 401 inside rolls back what the reuse was to do."""

    async def naive() -> None:
        async with resources.database.transaction():
            assert await repository.revoke_family(resources.database, family_of(program.pair))
            raise BadRefreshToken

    with pytest.raises(BadRefreshToken):
        await naive()

    assert (await tokens.caller_of(resources, program.pair.access_token)).id == str(program.person.id)


async def test_a_retry_after_the_successor_was_used_is_a_replay(
    resources: Resources, program: Program, db: Database
) -> None:
    """A thief who is faster than the owner would otherwise be given every successor for the asking."""
    second = await renew(resources, HERE, program.pair.refresh_token)
    third = await renew(resources, HERE, second.refresh_token)

    await refused(resources, program.pair.refresh_token)

    await refused(resources, third.refresh_token)
    assert await count_holding(db) == 0
    assert len(await events_of(db, "token_reused")) == 1


async def test_another_sign_in_of_the_same_user_outlives_a_replay(
    resources: Resources, program: Program, db: Database
) -> None:
    other = await issued(resources, program.person)
    await renew(resources, HERE, program.pair.refresh_token)
    await grow_old(db, 11)

    await refused(resources, program.pair.refresh_token)

    assert await renew(resources, HERE, other.refresh_token)
    assert await tokens.holding(db, [family_of(other), family_of(program.pair)]) == [family_of(other)]


async def test_replays_are_recorded_once(resources: Resources, program: Program, db: Database) -> None:
    """A thief who keeps knocking does not fill the outbox."""
    await renew(resources, HERE, program.pair.refresh_token)
    await grow_old(db, 11)

    await asyncio.gather(*(refused(resources, program.pair.refresh_token) for _ in range(5)))

    assert len(await events_of(db, "token_reused")) == 1


async def test_without_a_window_every_second_use_is_a_replay(settings: TestSettings, db: Database) -> None:
    async with resources_of(settings("jwt.retry_window=0")) as resources:
        pair = await issued(resources, await make_person(db))
        await renew(resources, HERE, pair.refresh_token)

        await refused(resources, pair.refresh_token)

        assert await count_holding(db) == 0


async def end_all(resources: Resources, person: Person) -> None:
    """As a password's change does it."""
    async with resources.database.transaction():
        await end_everything(resources, person.id)


async def waiting_for_a_lock(db: Database) -> bool:
    found = await db.fetch_val(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    return int(found) > 0


async def test_new_tokens_that_are_being_made_do_not_outlive_the_end_of_all(
    resources: Resources, settings: TestSettings, program: Program, db: Database
) -> None:
    """An UPDATE that waits for the used token only would not see its successors when it goes on."""
    async with resources_of(settings()) as elsewhere, asyncio.TaskGroup() as tasks:
        async with resources.database.transaction():
            pair = await renew(resources, HERE, program.pair.refresh_token)
            ending = tasks.create_task(end_all(elsewhere, program.person), context=Context())
            await eventually(lambda: waiting_for_a_lock(db), within=10)
        await ending

    assert await count_refresh_tokens(db) == 2
    assert await count_holding(db) == 0
    await refused(resources, pair.refresh_token)


async def test_no_new_tokens_are_made_while_all_are_being_ended(
    resources: Resources, settings: TestSettings, program: Program, db: Database
) -> None:
    async with resources_of(settings()) as elsewhere, asyncio.TaskGroup() as tasks:
        async with resources.database.transaction():
            await end_everything(resources, program.person.id)
            renewing = tasks.create_task(refused(elsewhere, program.pair.refresh_token), context=Context())
            await eventually(lambda: waiting_for_a_lock(db), within=10)
        await renewing

    assert await count_refresh_tokens(db) == 1
    assert await count_holding(db) == 0


async def test_signing_out_everywhere_ends_refresh_tokens(resources: Resources, program: Program, db: Database) -> None:
    second = await renew(resources, HERE, program.pair.refresh_token)
    await end_all(resources, program.person)

    for each in (second, program.pair):  # the first of them within its window
        await refused(resources, each.refresh_token)
        with pytest.raises(Unauthorized):
            await tokens.caller_of(resources, each.access_token)

    assert await events_of(db, "token_reused") == [], "nobody has stolen anything"


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET is_active = false",
        "DELETE FROM users",
        "UPDATE jwt_tokens SET expires_at = now() - interval '1 second'",
        "DELETE FROM jwt_tokens",
    ],
    ids=["deactivated", "deleted", "expired", "swept"],
)
async def test_tokens_do_not_outlive_what_they_stand_on(
    change: str, resources: Resources, program: Program, db: Database
) -> None:
    assert await tokens.holding(db, [family_of(program.pair)])

    await db.execute(change)

    await refused(resources, program.pair.refresh_token)
    with pytest.raises(Unauthorized):
        await tokens.caller_of(resources, program.pair.access_token)
    assert list(await tokens.holding(db, [family_of(program.pair)])) == []


async def test_an_access_token_renews_nothing_nor_does_the_token_of_a_mail(
    resources: Resources, program: Program, db: Database
) -> None:
    jti = await db.fetch_val("SELECT jti FROM jwt_tokens WHERE token_type = 'refresh'")
    secret = resources.settings.jwt.secret
    others = [seal(secret, "reset", jti), seal(secret, "refresh", _jti(program.pair)), str(jti), "", "é"]

    for each in [program.pair.access_token, *others]:
        await refused(resources, each)

    assert await renew(resources, HERE, seal(secret, "refresh", jti))


async def test_a_refresh_token_of_the_previous_secret_is_renewed_under_the_new_one(
    settings: TestSettings, db: Database
) -> None:
    old, new, previous = "jwt.secret=" + "o" * 32, "jwt.secret=" + "n" * 32, "jwt.previous_secret=" + "o" * 32
    async with resources_of(settings(old)) as before:
        pair = await issued(before, await make_person(db))

    async with resources_of(settings(new, previous)) as during:
        renewed = await renew(during, HERE, pair.refresh_token)

    async with resources_of(settings(new)) as after:
        await refused(after, pair.refresh_token)
        assert await renew(after, HERE, renewed.refresh_token)
