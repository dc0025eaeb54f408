"""Work to be done after the request that asked for it.

Revision 0007 after 0006, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision: str | None = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A running task without a lease could never be taken back from a dead worker, and a finished one
    # without a time never be swept away: both are refused here, whatever code writes the row.
    # The table is small and its rows change several times a second. With the stock fifth of dead rows
    # vacuum would come too late for the claim, which reads past every one of them.
    op.execute("""
CREATE TABLE tasks (
    id uuid NOT NULL DEFAULT uuidv7(),
    task_type text NOT NULL,
    payload jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'pending',
    priority integer NOT NULL DEFAULT 0,
    retry_count integer NOT NULL DEFAULT 0,
    max_retries integer NOT NULL DEFAULT 5,
    run_at timestamptz NOT NULL DEFAULT now(),
    locked_by text,
    locked_until timestamptz,
    lease_seq bigint NOT NULL DEFAULT 0,
    last_error text,
    dedupe_key text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT pk_tasks PRIMARY KEY (id),
    CONSTRAINT ck_tasks_status CHECK (status IN ('pending', 'running', 'done', 'dead', 'cancelled')),
    CONSTRAINT ck_tasks_retries CHECK (retry_count >= 0 AND max_retries >= 0),
    CONSTRAINT ck_tasks_running_has_lease
        CHECK (status <> 'running' OR (locked_by IS NOT NULL AND locked_until IS NOT NULL)),
    CONSTRAINT ck_tasks_finished_at
        CHECK ((status IN ('done', 'dead', 'cancelled')) = (finished_at IS NOT NULL))
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 200,
        autovacuum_analyze_scale_factor = 0.05)
""")
    op.execute("COMMENT ON TABLE tasks IS 'Work to be done after the request that asked for it'")
    op.execute("COMMENT ON COLUMN tasks.priority IS 'Higher runs first'")
    op.execute("COMMENT ON COLUMN tasks.locked_until IS 'End of the lease; past it another worker may claim the task'")
    op.execute(
        "COMMENT ON COLUMN tasks.lease_seq IS "
        "'Grows with every claim and never repeats: an update that names an older one comes from a dead worker'"
    )
    # Unique where set: rows without a key take no room in the index.
    op.execute("CREATE UNIQUE INDEX uq_tasks_dedupe_key ON tasks (dedupe_key) WHERE dedupe_key IS NOT NULL")
    # What is waiting, in the order in which it is claimed; finished rows never slow it down.
    op.execute("CREATE INDEX ix_tasks_claim ON tasks (priority DESC, run_at, id) WHERE status = 'pending'")
    # What is running, by the end of its lease: the search for tasks of dead workers.
    op.execute("CREATE INDEX ix_tasks_lease ON tasks (locked_until) WHERE status = 'running'")
    op.execute("""
CREATE TRIGGER set_updated_at BEFORE UPDATE ON tasks
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
""")


def downgrade() -> None:
    op.execute("DROP TABLE tasks")
