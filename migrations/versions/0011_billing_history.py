"""What was charged, refunded or refused, in the order in which it happened.

Revision 0011 after 0010, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision: str | None = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Rows are only ever added, so there is no updated_at; a refund is a row with a negative amount.
    op.execute("""
CREATE TABLE billing_history (
    id uuid NOT NULL DEFAULT uuidv7(),
    membership_id uuid NOT NULL,
    event_type text NOT NULL,
    amount_cents bigint,
    currency text NOT NULL DEFAULT 'CAD',
    stripe_invoice_id text,
    description text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_billing_history PRIMARY KEY (id),
    CONSTRAINT fk_billing_history_membership_id_memberships
        FOREIGN KEY (membership_id) REFERENCES memberships (id) ON DELETE RESTRICT,
    CONSTRAINT ck_billing_history_currency CHECK (currency ~ '^[A-Z]{3}$')
)
""")
    op.execute("COMMENT ON TABLE billing_history IS 'What was charged, refunded or refused; rows are only added'")
    op.execute(
        "COMMENT ON COLUMN billing_history.amount_cents IS 'In the currency''s smallest unit; empty: no money moved'"
    )
    op.execute("COMMENT ON COLUMN billing_history.currency IS 'ISO 4217, upper-case'")
    op.execute("""
CREATE INDEX ix_billing_history_membership_id_created_at
ON billing_history (membership_id, created_at DESC)
""")


def downgrade() -> None:
    op.execute("DROP TABLE billing_history")
