"""`app api-key` as an operator meets it, on a real database and with the program itself."""

from __future__ import annotations

import re
from datetime import datetime

import httpx
import pytest

from app.core.database import Database
from app.core.ids import new_id
from app.features.identity.service.key_form import hash_of, is_well_formed
from tests.cli.operator import Operator, operator
from tests.features.identity.keys import give_key
from tests.features.identity.people import API, Person, make_person
from tests.harness.fixtures import StartApp
from tests.harness.talking import talking

__all__ = ["operator"]  # a fixture

NOBODY = new_id()


@pytest.fixture
async def root(db: Database) -> Person:
    return await make_person(db, email="root@people.example", role="admin")


async def test_the_program_prints_the_key_and_the_key_only(operator: Operator, db: Database, root: Person) -> None:
    answer = await operator.in_a_process(
        *("api-key", "create", "--user", " Root@People.Example", "--name", "nightly"),
        *("--permission", "tasks:read", "--permission", "tasks:write", "--expires-in", "90d"),
    )

    key = answer.out.strip()
    assert (answer.code, answer.err) == (0, "Keep it now; it is not shown again:\n")
    assert answer.out == f"{key}\n"
    assert is_well_formed(key)
    row = await db.fetch_existing("SELECT *, expires_at - now() AS left FROM api_keys")
    assert (row["key_hash"], row["name"], row["created_by"]) == (hash_of(key), "nightly", root.id)
    assert row["permissions"] == ["tasks:read", "tasks:write"]
    assert 89 <= row["left"].days <= 90
    act = await db.fetch_existing("SELECT event_type, payload FROM outbox")
    assert (act["event_type"], act["payload"]["by"]) == ("identity.key_created", None)


async def test_programs_get_json(operator: Operator, root: Person) -> None:
    made = (
        await operator(
            *("api-key", "create", "--user", root.email, "--name", "x", "--permission", "tasks:read", "--json")
        )
    ).json
    [line] = (await operator("api-key", "list", "--json")).json["items"]

    assert is_well_formed(made.pop("key"))
    assert line == {**made, "owner": root.email}
    assert datetime.fromisoformat(made["created_at"]).tzinfo is not None


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("email", "permission", "said"),
    [
        ("nobody@people.example", "tasks:read", "There is no user nobody@people.example."),
        ("root@people.example", "tasks:everything", "permissions[0] is none that you may give; there are: "),
        ("ada@people.example", "tasks:read", "permissions[0] is none that you may give; there are: "),
    ],
)
async def test_what_is_refused_exits_1_with_a_sentence(
    operator: Operator, db: Database, email: str, permission: str, said: str
) -> None:
    await make_person(db, email="ada@people.example")

    answer = await operator("api-key", "create", "--user", email, "--name", "x", "--permission", permission)

    assert (answer.code, answer.out) == (1, "")
    assert said in answer.err
    assert len(answer.lines) == 0
    assert await db.fetch_val("SELECT count(*) FROM api_keys") == 0


async def test_a_name_is_held_to_the_same_bounds_as_over_http(operator: Operator, root: Person) -> None:
    for name in ("", "x" * 256, "a\x1b[2J"):
        answer = await operator("api-key", "create", "--user", root.email, "--name", name)

        assert (answer.code, answer.out) == (1, "")
        assert answer.err.startswith("name ")


@pytest.mark.parametrize(("life", "code"), [("999999w", 2), ("3660d", 2), ("0s", 1)])
async def test_a_life_that_is_none_is_refused(operator: Operator, root: Person, life: str, code: int) -> None:
    answer = await operator("api-key", "create", "--user", root.email, "--name", "x", "--expires-in", life)

    assert (answer.code, answer.out) == (code, "")
    assert "expires" in answer.err


async def test_keys_are_listed_with_their_state_and_without_themselves(
    operator: Operator, db: Database, root: Person
) -> None:
    ada = await make_person(db, email="ada@people.example")
    revoked, ended, holds = [await give_key(db, root, "tasks:read", ends_in=end) for end in (None, -7200, None)]
    other = await give_key(db, ada)
    await operator("api-key", "revoke", revoked.id)

    answer = await operator("api-key", "list", "--user", root.email)
    first = await operator("api-key", "list", "--limit", 1)
    missing = await operator("api-key", "list", "--user", "nobody@people.example")

    head, *lines = (re.split(r"  +", line) for line in answer.lines)
    assert head == ["ID", "BEGINS WITH", "OWNER", "PERMISSIONS", "STATE", "LAST USED", "NAME"]
    assert [line[0] for line in lines] == [str(key.id) for key in (holds, ended, revoked)]
    assert [line[4].split()[0] for line in lines] == ["holds", "expired", "revoked"]
    assert lines[0][2:] == [root.email, "tasks:read", "holds", "never", "made for a test"]
    assert holds.text not in answer.out
    assert holds.text.startswith(lines[0][1])
    assert (first.lines[1].split()[0], first.err) == (str(other.id), f"There are more: --cursor {other.id}\n")
    assert (missing.code, missing.err) == (1, "There is no user nobody@people.example.\n")


async def test_a_key_is_rotated_and_then_no_more(operator: Operator, db: Database, root: Person) -> None:
    key = await give_key(db, root, "tasks:read")

    rotated = await operator("api-key", "rotate", key.id, "--overlap", "0s")
    again = await operator("api-key", "rotate", key.id)
    missing = await operator("api-key", "rotate", NOBODY)
    too_long = await operator("api-key", "rotate", key.id, "--overlap", "31d")

    assert (rotated.code, is_well_formed(rotated.out.strip())) == (0, True)
    assert await db.fetch_val("SELECT expires_at <= now() FROM api_keys WHERE id = :id", {"id": key.id})
    assert (again.code, again.err) == (1, f"{key.id}: This API key is revoked or has expired.\n")
    assert (missing.code, missing.err) == (1, f"{NOBODY}: There is no such API key.\n")
    assert (too_long.code, "30 days" in too_long.err) == (2, True)


async def test_a_key_that_is_revoked_by_the_program_is_refused_and_its_socket_closed(
    operator: Operator, app_process: StartApp, db: Database, root: Person
) -> None:
    app = await app_process()
    key = await give_key(db, root, "tasks:read", "realtime:connect")

    async def status() -> int:
        answer: httpx.Response = await app.http.get(f"{API}/tasks", headers=key.bearer)
        return answer.status_code

    async with talking(app, headers=key.bearer) as talk:
        before = await status()
        revoked = await operator("api-key", "revoke", key.id)
        after = await status()
        ended = await talk.ended()

    assert (revoked.code, revoked.err) == (0, f"{key.id} is revoked.\n")
    assert (before, after) == (200, 401)
    assert ended[0] == 1008
