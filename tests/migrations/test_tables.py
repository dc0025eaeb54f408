"""What the schema itself promises, whatever code writes the rows."""

from __future__ import annotations

import re

import asyncpg
import pytest

from app.core.database import Database, Statement
from app.core.ids import new_id
from app.tasks.store.claiming import ALWAYS, CLAIM, RESCUE
from app.tasks.store.ordering import PROMOTE
from app.tasks.store.relaying import MOVE_EVENTS

# Spec, section 4, word for word; but `finished_at` of a task is where finished tasks are (docs/decisions/0008).
TABLES = {
    "users": "id email username name password_hash role is_active email_verified created_at updated_at",
    "sessions": "id user_id token_hash csrf_token ip_address user_agent last_seen_at expires_at created_at updated_at",
    "jwt_tokens": "id user_id token_type jti family_id expires_at revoked revoked_at access_jti replaced_by created_at",
    "api_keys": "id name key_prefix key_hash created_by permissions expires_at last_used_at revoked_at replaced_by "
    "created_at updated_at",
    "registrations": "id email name password_hash expires_at created_at",
    "password_resets": "id user_id expires_at created_at",
    "external_identities": "issuer subject user_id created_at",
    "second_factors": "user_id secret confirmed_at last_step created_at updated_at",
    "recovery_codes": "user_id code_hash created_at",
    "tasks": "id task_type payload status priority retry_count max_retries run_at locked_by locked_until last_error "
    "dedupe_key created_at updated_at",
    "finished_tasks": "id task_type payload status priority retry_count max_retries run_at locked_by last_error "
    "dedupe_key created_at finished_at",
    "outbox": "id aggregate_type aggregate_id event_type payload created_at processed_at",
    "processed_events": "event_id handler_name processed_at",
    "memberships": "id user_id tier status stripe_customer_id stripe_subscription_id current_period_start "
    "current_period_end created_at updated_at",
    "billing_history": "id membership_id event_type amount_cents currency stripe_invoice_id description created_at",
}
KINDS = {"p": "pk", "u": "uq", "f": "fk", "c": "ck"}

USER = "INSERT INTO users (email, name, password_hash) VALUES ('ada@example.org', 'Ada', '-') RETURNING id"


async def columns(db: Database, *, name: str | None = None, kind: str | None = None) -> set[tuple[str, str]]:
    """Tables and columns, all or those of one name or type."""
    rows = await db.fetch_all("""
        SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'
    """)
    return {
        (row["table_name"], row["column_name"])
        for row in rows
        if name in {None, row["column_name"]} and kind in {None, row["data_type"]}
    }


async def test_every_table_and_column_of_the_spec_is_there(db: Database) -> None:
    there = await columns(db)

    assert {(table, column) for table, names in TABLES.items() for column in names.split()} <= there


async def test_every_time_has_a_zone(db: Database) -> None:
    assert await columns(db, kind="timestamp without time zone") == set()


async def test_every_constraint_and_index_is_named_by_the_convention(db: Database) -> None:
    # NOT NULL (contype n) is told by its column; alembic_version is Alembic's own.
    rows = await db.fetch_all("""
        SELECT contype::text AS kind, conname AS name, conrelid::regclass::text AS "table" FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
        UNION ALL
        SELECT CASE WHEN indisunique THEN 'u' ELSE 'i' END, indexrelid::regclass::text, indrelid::regclass::text
        FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
        WHERE relnamespace = 'public'::regnamespace AND NOT indisprimary
    """)
    ours = [row for row in rows if row["table"] != "alembic_version"]

    assert len(ours) > 50
    for row in ours:
        assert re.fullmatch(f"{KINDS.get(row['kind'], 'ix')}_{row['table']}(_[a-z_]+)?", row["name"]), row["name"]


async def test_every_foreign_key_has_an_index_that_serves_it(db: Database) -> None:
    rows = await db.fetch_all("""
        SELECT conname FROM pg_constraint c WHERE contype = 'f' AND NOT EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1] AND i.indpred IS NULL)
    """)

    assert [row["conname"] for row in rows] == []


async def test_every_table_with_updated_at_has_the_trigger(db: Database) -> None:
    with_column = {table for table, _ in await columns(db, name="updated_at")}
    rows = await db.fetch_all("""
        SELECT tgrelid::regclass::text AS "table" FROM pg_trigger
        WHERE tgname = 'set_updated_at' AND tgfoid = 'set_updated_at'::regproc
    """)

    assert (
        {row["table"] for row in rows}
        == with_column
        == {"users", "sessions", "api_keys", "tasks", "memberships", "second_factors"}
    )


async def test_updated_at_moves_with_a_change_and_only_with_one(db: Database) -> None:
    await db.execute(USER)
    await db.execute("UPDATE users SET name = name")
    untouched = await db.fetch_existing("SELECT created_at, updated_at FROM users")

    await db.execute("UPDATE users SET name = 'Countess', updated_at = '2000-01-01'")
    changed = await db.fetch_existing("SELECT created_at, updated_at FROM users")

    assert untouched["updated_at"] == untouched["created_at"]
    assert changed["updated_at"] > changed["created_at"] == untouched["created_at"]


async def test_ids_are_uuid_version_7(db: Database) -> None:
    assert await db.fetch_val("SELECT uuid_extract_version(uuidv7())") == 7
    assert (await db.execute(USER)).version == new_id().version == 7


REFUSED: list[tuple[str, str]] = [
    ("ck_users_email_lower", "UPDATE users SET email = 'Ada@example.org'"),
    ("ck_users_email_length", "UPDATE users SET email = ''"),
    ("ck_users_name_length", "UPDATE users SET name = ''"),
    ("ck_users_username_length", "UPDATE users SET username = ''"),
    ("ck_users_role", "UPDATE users SET role = 'root'"),
    ("uq_users_email", "INSERT INTO users (email, name, password_hash) SELECT email, 'B', '-' FROM users"),
    ("ck_sessions_token_hash_length", "UPDATE sessions SET token_hash = 'short'"),
    ("fk_sessions_user_id_users", "UPDATE sessions SET user_id = uuidv7()"),
    ("ck_jwt_tokens_revoked_at", "UPDATE jwt_tokens SET revoked = true"),
    ("ck_jwt_tokens_access_jti", "UPDATE jwt_tokens SET access_jti = NULL"),
    ("ck_jwt_tokens_replaced_by", "UPDATE jwt_tokens SET replaced_by = uuidv7()"),
    ("ck_registrations_email_lower", "UPDATE registrations SET email = 'Eve@example.org'"),
    ("ck_external_identities_subject_length", "UPDATE external_identities SET subject = ''"),
    ("ck_recovery_codes_code_hash_length", "UPDATE recovery_codes SET code_hash = 'short'"),
    ("ck_api_keys_permissions_array", "UPDATE api_keys SET permissions = '{}'"),
    ("ck_api_keys_key_hash_length", "UPDATE api_keys SET key_hash = 'short'"),
    ("ck_api_keys_name_length", "UPDATE api_keys SET name = ''"),
    ("ck_tasks_status", "UPDATE tasks SET status = 'lost'"),
    ("ck_tasks_running_has_lease", "UPDATE tasks SET status = 'running', locked_by = 'w'"),
    ("ck_tasks_running_has_lease", "UPDATE tasks SET locked_by = 'w', locked_until = now()"),
    ("ck_tasks_status", "UPDATE tasks SET status = 'done'"),
    ("ck_tasks_retries", "UPDATE tasks SET retry_count = -1"),
    ("ck_tasks_retries", "UPDATE tasks SET crash_count = -1"),
    ("ck_tasks_priority", "UPDATE tasks SET priority = 2"),
    ("ck_tasks_priority", "UPDATE tasks SET priority = -2"),
    ("ck_tasks_order_position", "UPDATE tasks SET order_key = 'k'"),
    ("ck_tasks_order_position", "UPDATE tasks SET order_position = 1"),
    ("ck_tasks_waiting_has_order", "UPDATE tasks SET status = 'waiting'"),
    ("uq_tasks_order_active", "UPDATE tasks SET order_key = 'k', order_position = 1"),
    ("ck_finished_tasks_status", "UPDATE finished_tasks SET status = 'pending'"),
    ("pk_finished_tasks", "INSERT INTO finished_tasks SELECT * FROM finished_tasks"),
    ("uq_tasks_dedupe_key", "INSERT INTO tasks (task_type, dedupe_key) VALUES ('b', 'once'), ('b', 'once')"),
    ("pk_schedules", "INSERT INTO schedules SELECT * FROM schedules"),
    ("pk_processed_events", "INSERT INTO processed_events SELECT event_id, handler_name FROM processed_events"),
    ("ck_memberships_tier", "UPDATE memberships SET tier = 'weekly'"),
    ("ck_memberships_status", "UPDATE memberships SET status = 'lost'"),
    ("ck_memberships_period", "UPDATE memberships SET current_period_start = now(), current_period_end = now()"),
    (
        "uq_memberships_user_id",
        "INSERT INTO memberships (user_id, tier, status) SELECT id, 'free', 'active' FROM users",
    ),
    ("fk_memberships_user_id_users", "DELETE FROM users"),
    ("ck_idempotency_keys_key_length", "UPDATE idempotency_keys SET key = ''"),
    ("ck_idempotency_keys_key_length", "UPDATE idempotency_keys SET key = repeat('k', 256)"),
    ("ck_idempotency_keys_fingerprint_length", "UPDATE idempotency_keys SET fingerprint = 'short'"),
    ("ck_idempotency_keys_status", "UPDATE idempotency_keys SET status = 102"),
    ("pk_idempotency_keys", "INSERT INTO idempotency_keys SELECT * FROM idempotency_keys"),
    ("ck_billing_history_currency", "UPDATE billing_history SET currency = 'cad'"),
    ("fk_billing_history_membership_id_memberships", "DELETE FROM memberships"),
]

ROWS = """
WITH person AS (INSERT INTO users (email, name, password_hash)
                VALUES ('ada@example.org', 'Ada', '-') RETURNING id),
    session AS (INSERT INTO sessions (user_id, token_hash, csrf_token, expires_at)
                SELECT id, sha256('s'), 'c', now() FROM person),
    token AS (INSERT INTO jwt_tokens (user_id, token_type, jti, access_jti, family_id, expires_at)
              SELECT id, 'refresh', uuidv7(), uuidv7(), uuidv7(), now() FROM person),
    registration AS (INSERT INTO registrations (email, name, password_hash, expires_at)
                     VALUES ('eve@example.org', 'Eve', '-', now())),
    reset AS (INSERT INTO password_resets (user_id, expires_at) SELECT id, now() FROM person),
    identity AS (INSERT INTO external_identities (issuer, subject, user_id) SELECT 'https://id', 'ada', id FROM person),
    factor AS (INSERT INTO second_factors (user_id, secret) SELECT id, 'sealed' FROM person),
    code AS (INSERT INTO recovery_codes (user_id, code_hash) SELECT id, sha256('c') FROM person),
    key AS (INSERT INTO api_keys (name, key_prefix, key_hash, created_by)
            SELECT 'k', 'pl_', sha256('k'), id FROM person),
    task AS (INSERT INTO tasks (task_type) VALUES ('a'), ('a')),
    finished AS (INSERT INTO finished_tasks (id, task_type, payload, status, priority, retry_count, max_retries,
                                             crash_count, lease_seq, run_at, context, created_at)
                 VALUES (uuidv7(), 'a', '{}', 'done', 0, 0, 5, 0, 1, now(), '{}', now())),
    tick AS (INSERT INTO schedules (name, last_tick) VALUES ('nightly', now())),
    event AS (INSERT INTO outbox (aggregate_type, aggregate_id, event_type, payload)
              VALUES ('a', uuidv7(), 'e', '{}')),
    answer AS (INSERT INTO idempotency_keys (scope, key, fingerprint, status, headers, body, expires_at)
               VALUES ('anonymous', 'k', sha256('r'), 200, '[]', '', now())),
    done AS (INSERT INTO processed_events (event_id, handler_name) VALUES (uuidv7(), 'h')),
    member AS (INSERT INTO memberships (user_id, tier, status) SELECT id, 'free', 'active' FROM person RETURNING id)
INSERT INTO billing_history (membership_id, event_type) SELECT id, 'charge' FROM member
"""


@pytest.fixture
async def rows(db: Database) -> Database:
    """One row in every table."""
    await db.execute(ROWS)
    return db


async def test_what_must_not_be_stored_is_refused_by_its_constraint(rows: Database) -> None:
    for name, sql in REFUSED:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await rows.execute(sql)
        assert refused.value.constraint_name == name, sql


async def test_one_event_is_dealt_with_by_two_handlers(rows: Database) -> None:
    await rows.execute("INSERT INTO processed_events SELECT event_id, 'another' FROM processed_events")

    assert await rows.fetch_val("SELECT count(DISTINCT event_id) FROM processed_events") == 1


async def test_sessions_tokens_and_keys_go_with_their_user(rows: Database) -> None:
    await rows.execute("DELETE FROM billing_history")
    await rows.execute("DELETE FROM memberships")

    await rows.execute("DELETE FROM users")

    for table in (
        *("sessions", "jwt_tokens", "api_keys"),
        *("password_resets", "external_identities", "second_factors", "recovery_codes"),
    ):
        assert await rows.fetch_val(f"SELECT count(*) FROM {table}") == 0  # noqa: S608  (our own names)


async def explained(db: Database, statement: Statement, values: dict[str, object]) -> str:
    """The plan for a full table, as it is chosen for the real statement with these values."""
    plan = statement.plan
    async with db.transaction():
        for other_way in ("enable_seqscan", "enable_bitmapscan"):  # tempting while a table is small
            await db.execute(f"SET LOCAL {other_way} = off")
        async with db.connection() as connection:
            found = await connection.raw_connection.fetch(f"EXPLAIN (COSTS OFF) {plan.sql}", *plan.bind(values))
    return "\n".join(row[0] for row in found)


CLAIMED = {
    "types": ["a", "b"],
    "priorities": [0, 1],
    "floors": [ALWAYS, ALWAYS],
    "rooms": [20, 20],
    "mosts": [None, 1],
    "oldest_first": False,
    "limit": 20,
    "worker": "w",
    "lease": 30.0,
}


MOVED = {
    "floor": 0,
    "known": ["e"],
    "limit": 100,
    "events": ["e"],
    "names": ["h"],
    "priorities": [0],
    "max_retries": [3],
}


async def test_the_claim_reads_its_partial_index_and_sorts_nothing_that_it_reads(rows: Database) -> None:
    plan = await explained(rows, CLAIM, CLAIMED)

    assert "Index Scan using ix_tasks_claim" in plan
    # Below the lock each lane comes in the index's order: a sort in there would read every pending row.
    below = plan[plan.index("LockRows") :]
    assert "Sort" not in below[: below.index("ix_tasks_claim")]
    condition = next(line for line in below.splitlines() if "Index Cond" in line)
    for part in ("task_type = ", "priority = ", "run_at >= ", "run_at <= now()"):
        assert part in condition


async def test_the_rescue_and_the_order_read_their_indexes(rows: Database) -> None:
    rescue = await explained(rows, RESCUE, {"floor": ALWAYS, "limit": 100, "max_crashes": 3, "apart": 3.0})
    promote = await explained(rows, PROMOTE, {"keys": ["k"]})

    assert "Index Scan using ix_tasks_lease" in rescue
    assert "ix_tasks_order" in promote
    assert "Seq Scan" not in rescue + promote


async def test_the_relay_reads_its_partial_index_in_order(rows: Database) -> None:
    plan = await explained(rows, MOVE_EVENTS, MOVED)

    assert "Index Scan using ix_outbox_unprocessed" in plan
    batch = plan[plan.index("CTE batch") : plan.index("ix_outbox_unprocessed")]
    assert "Sort" not in batch
