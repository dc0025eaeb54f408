"""What a queue needs to lose nothing: order, crashes counted, and finished tasks in a table of their own.

Revision 0013 after 0012, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision: str | None = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Finished rows live for days and running ones for seconds. In one table the claim would read past the dead
    # versions of both; here it reads an index of what is waiting, in a table that stays small (docs/decisions/0008).
    op.execute("""
CREATE TABLE finished_tasks (
    id uuid NOT NULL,
    task_type text NOT NULL,
    payload jsonb NOT NULL,
    status text NOT NULL,
    priority integer NOT NULL,
    retry_count integer NOT NULL,
    max_retries integer NOT NULL,
    crash_count integer NOT NULL,
    lease_seq bigint NOT NULL,
    run_at timestamptz NOT NULL,
    locked_by text,
    last_error text,
    dedupe_key text,
    order_key text,
    order_position bigint,
    context jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_finished_tasks PRIMARY KEY (id),
    CONSTRAINT ck_finished_tasks_status CHECK (status IN ('done', 'dead', 'cancelled'))
)
""")
    op.execute(
        "COMMENT ON TABLE finished_tasks IS "
        "'Work that has ended, apart from what is still to be done, so that neither slows the other'"
    )
    op.execute("COMMENT ON COLUMN finished_tasks.locked_by IS 'The worker that had it last'")
    op.execute("""
INSERT INTO finished_tasks (id, task_type, payload, status, priority, retry_count, max_retries, crash_count, lease_seq,
                            run_at, locked_by, last_error, dedupe_key, context, created_at, finished_at)
SELECT id, task_type, payload, status, least(greatest(priority, -1), 1), retry_count, max_retries, 0, lease_seq,
       run_at, locked_by, last_error, dedupe_key, '{}', created_at, finished_at
FROM tasks WHERE finished_at IS NOT NULL
""")
    # The sweep reads by time; a person asks for what did not end well.
    op.execute("CREATE INDEX ix_finished_tasks_finished_at ON finished_tasks (finished_at)")
    op.execute("CREATE INDEX ix_finished_tasks_not_done ON finished_tasks (status, finished_at) WHERE status <> 'done'")

    op.execute("DELETE FROM tasks WHERE finished_at IS NOT NULL")
    op.execute("UPDATE tasks SET locked_by = NULL, locked_until = NULL WHERE status <> 'running'")
    op.execute("UPDATE tasks SET priority = least(greatest(priority, -1), 1) WHERE priority NOT BETWEEN -1 AND 1")
    op.execute("DROP INDEX ix_tasks_claim")
    op.execute("""
ALTER TABLE tasks
    DROP CONSTRAINT ck_tasks_status,
    DROP CONSTRAINT ck_tasks_retries,
    DROP CONSTRAINT ck_tasks_running_has_lease,
    DROP CONSTRAINT ck_tasks_finished_at,
    DROP COLUMN finished_at,
    ADD COLUMN crash_count integer NOT NULL DEFAULT 0,
    ADD COLUMN order_key text,
    ADD COLUMN order_position bigint,
    ADD COLUMN context jsonb NOT NULL DEFAULT '{}',
    ADD CONSTRAINT ck_tasks_status CHECK (status IN ('waiting', 'pending', 'running')),
    ADD CONSTRAINT ck_tasks_retries CHECK (retry_count >= 0 AND max_retries >= 0 AND crash_count >= 0),
    ADD CONSTRAINT ck_tasks_priority CHECK (priority BETWEEN -1 AND 1),
    ADD CONSTRAINT ck_tasks_running_has_lease
        CHECK ((status = 'running') = (locked_by IS NOT NULL AND locked_until IS NOT NULL)),
    ADD CONSTRAINT ck_tasks_order_position CHECK ((order_key IS NULL) = (order_position IS NULL)),
    ADD CONSTRAINT ck_tasks_waiting_has_order CHECK (status <> 'waiting' OR order_key IS NOT NULL)
""")
    op.execute("COMMENT ON COLUMN tasks.crash_count IS 'Leases that ran out'")
    op.execute("COMMENT ON COLUMN tasks.order_key IS 'Tasks with the same key run one after another'")
    op.execute("COMMENT ON COLUMN tasks.order_position IS 'Their order'")
    op.execute("COMMENT ON COLUMN tasks.context IS 'The request and trace behind it'")
    # Type and priority first: a claim asks for each separately, so that a type which has no room is not read past.
    op.execute("CREATE INDEX ix_tasks_claim ON tasks (task_type, priority, run_at, id) WHERE status = 'pending'")
    # Who is the first of a key: asked when one of its tasks has ended.
    op.execute("CREATE INDEX ix_tasks_order ON tasks (order_key, order_position) WHERE order_key IS NOT NULL")
    # At most one of a key is on its way. Two looks at the same moment could choose two, where a dead one is retried.
    op.execute(
        "CREATE UNIQUE INDEX uq_tasks_order_active ON tasks (order_key) "
        "WHERE order_key IS NOT NULL AND status <> 'waiting'"
    )

    # Ids are made by the clock, which may step back. This number is taken under the lock of the aggregate.
    op.execute("DROP INDEX ix_outbox_unprocessed")
    op.execute("""
ALTER TABLE outbox
    ADD COLUMN position bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    ADD COLUMN context jsonb NOT NULL DEFAULT '{}'
""")
    op.execute(
        "COMMENT ON COLUMN outbox.position IS "
        "'The order of the events of one aggregate: it is taken under a lock that is held until the commit'"
    )
    op.execute("COMMENT ON COLUMN outbox.context IS 'The request and trace behind it'")
    op.execute("CREATE INDEX ix_outbox_unprocessed ON outbox (position) WHERE processed_at IS NULL")
    # For the sweeps.
    op.execute("CREATE INDEX ix_outbox_processed_at ON outbox (processed_at) WHERE processed_at IS NOT NULL")
    op.execute("CREATE INDEX ix_processed_events_processed_at ON processed_events (processed_at)")

    op.execute("""
CREATE TABLE schedules (
    name text NOT NULL,
    last_tick timestamptz NOT NULL,
    CONSTRAINT pk_schedules PRIMARY KEY (name)
)
""")
    op.execute("COMMENT ON TABLE schedules IS 'How far each schedule has come, whatever the number of workers'")
    op.execute("COMMENT ON COLUMN schedules.last_tick IS 'The last time for which its task was enqueued'")


def downgrade() -> None:
    op.execute("DROP TABLE schedules")
    op.execute("DROP INDEX ix_processed_events_processed_at")
    op.execute("DROP INDEX ix_outbox_processed_at")
    op.execute("DROP INDEX ix_outbox_unprocessed")
    op.execute("ALTER TABLE outbox DROP COLUMN position, DROP COLUMN context")
    op.execute("CREATE INDEX ix_outbox_unprocessed ON outbox (created_at, id) WHERE processed_at IS NULL")
    op.execute("DROP INDEX uq_tasks_order_active")
    op.execute("DROP INDEX ix_tasks_order")
    op.execute("DROP INDEX ix_tasks_claim")
    op.execute("""
ALTER TABLE tasks
    DROP CONSTRAINT ck_tasks_status,
    DROP CONSTRAINT ck_tasks_retries,
    DROP CONSTRAINT ck_tasks_priority,
    DROP CONSTRAINT ck_tasks_running_has_lease,
    DROP CONSTRAINT ck_tasks_order_position,
    DROP CONSTRAINT ck_tasks_waiting_has_order
""")
    op.execute("UPDATE tasks SET status = 'pending' WHERE status = 'waiting'")
    op.execute("""
ALTER TABLE tasks
    DROP COLUMN crash_count,
    DROP COLUMN order_key,
    DROP COLUMN order_position,
    DROP COLUMN context,
    ADD COLUMN finished_at timestamptz,
    ADD CONSTRAINT ck_tasks_status CHECK (status IN ('pending', 'running', 'done', 'dead', 'cancelled')),
    ADD CONSTRAINT ck_tasks_retries CHECK (retry_count >= 0 AND max_retries >= 0),
    ADD CONSTRAINT ck_tasks_running_has_lease
        CHECK (status <> 'running' OR (locked_by IS NOT NULL AND locked_until IS NOT NULL)),
    ADD CONSTRAINT ck_tasks_finished_at
        CHECK ((status IN ('done', 'dead', 'cancelled')) = (finished_at IS NOT NULL))
""")
    op.execute("""
INSERT INTO tasks (id, task_type, payload, status, priority, retry_count, max_retries, run_at, lease_seq, last_error,
                   dedupe_key, created_at, finished_at)
SELECT id, task_type, payload, status, priority, retry_count, max_retries, run_at, lease_seq, last_error,
       NULL, created_at, finished_at
FROM finished_tasks
ON CONFLICT (id) DO NOTHING
""")
    op.execute("CREATE INDEX ix_tasks_claim ON tasks (priority DESC, run_at, id) WHERE status = 'pending'")
    op.execute("DROP TABLE finished_tasks")
