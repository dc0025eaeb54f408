"""What a user has paid for.

Revision 0010 after 0009, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision: str | None = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No cascade: a user who has paid can be deactivated, not made to have never existed.
    op.execute("""
CREATE TABLE memberships (
    id uuid NOT NULL DEFAULT uuidv7(),
    user_id uuid NOT NULL,
    tier text NOT NULL,
    status text NOT NULL,
    stripe_customer_id text,
    stripe_subscription_id text,
    current_period_start timestamptz,
    current_period_end timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_memberships PRIMARY KEY (id),
    CONSTRAINT uq_memberships_user_id UNIQUE (user_id),
    CONSTRAINT fk_memberships_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE RESTRICT,
    CONSTRAINT ck_memberships_tier CHECK (tier IN ('free', 'monthly', 'annual')),
    CONSTRAINT ck_memberships_status CHECK (status IN ('active', 'cancelled', 'expired', 'pending')),
    CONSTRAINT ck_memberships_period CHECK (current_period_end > current_period_start)
)
""")
    op.execute("COMMENT ON TABLE memberships IS 'What a user has paid for; one row a user'")
    # Webhooks name the customer, and most free members have none.
    op.execute("""
CREATE INDEX ix_memberships_stripe_customer_id ON memberships (stripe_customer_id)
WHERE stripe_customer_id IS NOT NULL
""")
    op.execute("""
CREATE TRIGGER set_updated_at BEFORE UPDATE ON memberships
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
""")


def downgrade() -> None:
    op.execute("DROP TABLE memberships")
