"""`app user` as an operator meets it, on a real database."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.database import Database
from app.features.identity.hashing import Hashing
from tests.cli.operator import Operator, operator
from tests.features.identity.people import PASSWORD, make_person

__all__ = ["operator"]  # a fixture

ADA = "ada@people.example"


async def row_of(db: Database, email: str = ADA) -> dict[str, Any]:
    return dict(await db.fetch_existing("SELECT * FROM users WHERE email = :email", {"email": email}))


async def events(db: Database) -> list[tuple[str, str | None, str]]:
    rows = await db.fetch_all("SELECT event_type, payload FROM outbox ORDER BY id")
    return [
        (row["event_type"].removeprefix("identity."), row["payload"]["by"], row["payload"]["about"]) for row in rows
    ]


async def is_password(db: Database, text: str) -> bool:
    hashing = Hashing()
    try:
        return await hashing.verify((await row_of(db))["password_hash"], text)
    finally:
        await hashing.close()


async def test_an_administrator_is_made_with_a_password_that_is_told_once(operator: Operator, db: Database) -> None:
    made = await operator("user", "create", " Ada@People.example", "--name", "Ada", "--admin")
    again = await operator("user", "create", ADA, "--name", "Ada")

    row = await row_of(db)
    [password] = made.lines
    assert (made.code, row["role"], row["email_verified"], row["name"]) == (0, "admin", True, "Ada")
    assert len(password) == 24
    assert await is_password(db, password)
    assert password not in made.err
    assert (again.code, again.out, again.err) == (1, "", "A user with this e-mail address exists.\n")
    assert await events(db) == [("user_created", None, "admin")]


async def test_a_password_comes_from_standard_input_and_is_judged(operator: Operator, db: Database) -> None:
    weak = await operator("user", "create", ADA, "--name", "Ada", "--password-stdin", stdin="password1234\n")
    made = await operator("user", "create", ADA, "--name", "Ada", "--password-stdin", stdin=f"{PASSWORD}\n")

    assert (weak.code, weak.out) == (1, "")
    assert "password1234" not in weak.err
    assert (made.code, made.out) == (0, ""), "what was given is not printed"
    assert await is_password(db, PASSWORD)


@pytest.mark.parametrize("email", ["", "ada", "a@b@c", "ada@", "x" * 300 + "@people.example"])
async def test_what_is_no_address_is_refused(operator: Operator, db: Database, email: str) -> None:
    answer = await operator("user", "create", email, "--name", "Ada")

    assert (answer.code, answer.out) == (1, "")
    assert await db.fetch_val("SELECT count(*) FROM users") == 0


async def test_users_are_listed_and_shown_without_their_hashes(operator: Operator, db: Database) -> None:
    ada = await make_person(db, email=ADA, role="admin")
    bob = await make_person(db, email="bob@people.example", name="Bob\x1b[2J", active=False)

    listed = await operator("user", "list")
    page = await operator("user", "list", "--json", "--limit", 1)
    rest = await operator("user", "list", "--json", "--cursor", page.json["next_cursor"])
    found = await operator("user", "list", "--email", "ADA", "--json")
    shown = await operator("user", "show", "ADA@people.example")

    head, *rows = listed.lines
    assert head.split()[:4] == ["ID", "EMAIL", "ROLE", "STATE"]
    assert [row.split()[:4] for row in rows] == [
        [str(bob.id), bob.email, "user", "deactivated"],
        [str(ada.id), ADA, "admin", "active"],
    ]
    assert "\x1b" not in listed.out
    assert [page.json["items"][0]["email"], rest.json["items"][0]["email"]] == [bob.email, ADA]
    assert [each["email"] for each in found.json["items"]] == [ADA]
    assert (shown.json["id"], shown.json["second_factor"]) == (str(ada.id), False)
    assert "argon2" not in listed.out + page.out + shown.out


async def test_a_user_is_deactivated_and_back(operator: Operator, db: Database) -> None:
    ada = await make_person(db, email=ADA)
    await db.execute(
        "INSERT INTO sessions (user_id, token_hash, csrf_token, expires_at)"
        " VALUES (:id, sha256('x'), 'c', now() + interval '1 h')",
        {"id": ada.id},
    )

    out = await operator("user", "deactivate", ADA)
    left = await db.fetch_val("SELECT count(*) FROM sessions")
    away = (await row_of(db))["is_active"]
    back = await operator("user", "activate", ADA)

    assert (out.code, out.err, back.err) == (0, f"{ADA} is deactivated now.\n", f"{ADA} is active now.\n")
    assert (away, left, (await row_of(db))["is_active"]) == (False, 0, True)
    assert await events(db) == [("user_deactivated", None, ""), ("user_activated", None, "")]


async def test_the_last_administrator_stays_one_here_too(operator: Operator, db: Database) -> None:
    await make_person(db, email=ADA, role="admin")
    await make_person(db, email="bob@people.example")

    refused = [await operator("user", "role", ADA, "user"), await operator("user", "deactivate", ADA)]
    other = await operator("user", "role", "bob@people.example", "admin")
    now = await operator("user", "role", ADA, "user")

    assert [each.code for each in refused] == [1, 1]
    assert all("last administrator" in each.err for each in refused)
    assert (other.code, now.code, (await row_of(db))["role"]) == (0, 0, "user")


async def test_a_lost_password_is_replaced_and_ends_what_was_signed_in(operator: Operator, db: Database) -> None:
    ada = await make_person(db, email=ADA)
    await db.execute(
        "INSERT INTO sessions (user_id, token_hash, csrf_token, expires_at)"
        " VALUES (:id, sha256('x'), 'c', now() + interval '1 h')",
        {"id": ada.id},
    )

    answer = await operator("user", "password", ADA)

    [password] = answer.lines
    assert await is_password(db, password)
    assert not await is_password(db, PASSWORD)
    assert await db.fetch_val("SELECT count(*) FROM sessions") == 0
    assert await events(db) == [("password_changed", None, "")]


async def test_a_lost_second_factor_is_removed(operator: Operator, db: Database) -> None:
    ada = await make_person(db, email=ADA)
    none = await operator("user", "second-factor-off", ADA)
    await db.execute(
        "INSERT INTO second_factors (user_id, secret, confirmed_at) VALUES (:id, 'x', now())", {"id": ada.id}
    )
    await db.execute("INSERT INTO recovery_codes VALUES (:id, sha256('x'))", {"id": ada.id})

    off = await operator("user", "second-factor-off", ADA)

    left = "SELECT (SELECT count(*) FROM second_factors) + (SELECT count(*) FROM recovery_codes)"
    assert (none.code, off.code, await db.fetch_val(left)) == (1, 0, 0)
    assert await events(db) == [("second_factor_removed", None, "")]


@pytest.mark.parametrize(
    "command",
    [["show"], ["activate"], ["deactivate"], ["password"], ["second-factor-off"]],
    ids=lambda each: each[0],
)
async def test_who_is_not_there_is_told(operator: Operator, command: list[str]) -> None:
    answer = await operator("user", *command, "nobody@people.example")

    assert (answer.code, answer.out, answer.err) == (1, "", "There is no user nobody@people.example.\n")
