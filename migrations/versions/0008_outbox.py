"""Events written in the transaction that caused them, to be delivered afterwards.

Revision 0008 after 0007, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Every row is inserted, marked and removed once, so vacuum comes as early as for tasks.
    op.execute("""
CREATE TABLE outbox (
    id uuid NOT NULL DEFAULT uuidv7(),
    aggregate_type text NOT NULL,
    aggregate_id uuid NOT NULL,
    event_type text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    processed_at timestamptz,
    CONSTRAINT pk_outbox PRIMARY KEY (id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 200,
        autovacuum_analyze_scale_factor = 0.05)
""")
    op.execute("COMMENT ON TABLE outbox IS 'Events written in the transaction that caused them'")
    # Only what still has to be delivered is in it: the relay's read costs the same after years of events.
    op.execute("CREATE INDEX ix_outbox_unprocessed ON outbox (created_at, id) WHERE processed_at IS NULL")


def downgrade() -> None:
    op.execute("DROP TABLE outbox")
