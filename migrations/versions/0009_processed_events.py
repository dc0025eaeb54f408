"""Which handler has dealt with which event.

Revision 0009 after 0008, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision: str | None = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The key holds both: keyed by the event alone, the first handler would hide the event from the second.
    # No foreign key to outbox: its rows are swept sooner than these.
    op.execute("""
CREATE TABLE processed_events (
    event_id uuid NOT NULL,
    handler_name text NOT NULL,
    processed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_processed_events PRIMARY KEY (event_id, handler_name)
)
""")
    op.execute(
        "COMMENT ON TABLE processed_events IS "
        "'Written in the handler''s own transaction, so that an event delivered twice changes nothing'"
    )


def downgrade() -> None:
    op.execute("DROP TABLE processed_events")
