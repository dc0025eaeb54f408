"""The answers that a repeated request is given again.

Revision 0012 after 0011, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision: str | None = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No foreign key to users: the scope may be nobody, a user or an API key, and rows live for a day.
    op.execute("""
CREATE TABLE idempotency_keys (
    scope text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (scope, key),
    CONSTRAINT ck_idempotency_keys_key_length CHECK (length(key) BETWEEN 1 AND 255),
    CONSTRAINT ck_idempotency_keys_fingerprint_length CHECK (length(fingerprint) = 32),
    CONSTRAINT ck_idempotency_keys_status CHECK (status BETWEEN 200 AND 599)
)
""")
    op.execute(
        "COMMENT ON TABLE idempotency_keys IS "
        "'Answers to requests with an Idempotency-Key, written in the transaction of their effects'"
    )
    op.execute("COMMENT ON COLUMN idempotency_keys.scope IS 'Whose key it is: two callers may choose the same'")
    op.execute("COMMENT ON COLUMN idempotency_keys.fingerprint IS 'SHA-256 of the request: a key stands for one only'")
    # For the sweep, which each new key does a little of.
    op.execute("CREATE INDEX ix_idempotency_keys_expires_at ON idempotency_keys (expires_at)")


def downgrade() -> None:
    op.execute("DROP TABLE idempotency_keys")
