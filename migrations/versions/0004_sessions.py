"""Signed-in browsers.

Revision 0004 after 0003, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Only the SHA-256 of the token is stored: a copy of this table signs nobody in.
    # last_seen_at moves with nearly every request and no index holds it: the free tenth of each page
    # lets those updates stay in place, and vacuum comes early for the rest.
    op.execute("""
CREATE TABLE sessions (
    id uuid NOT NULL DEFAULT uuidv7(),
    user_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    csrf_token text NOT NULL,
    ip_address inet,
    user_agent text,
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT uq_sessions_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_sessions_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_sessions_token_hash_length CHECK (octet_length(token_hash) = 32)
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05)
""")
    op.execute("COMMENT ON TABLE sessions IS 'Signed-in browsers'")
    op.execute("COMMENT ON COLUMN sessions.token_hash IS 'SHA-256 of the cookie; the cookie itself is not stored'")
    # The first serves "my sessions" and the cascade, the second the sweep of expired ones.
    op.execute("CREATE INDEX ix_sessions_user_id ON sessions (user_id)")
    op.execute("CREATE INDEX ix_sessions_expires_at ON sessions (expires_at)")
    op.execute("""
CREATE TRIGGER set_updated_at BEFORE UPDATE ON sessions
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
""")


def downgrade() -> None:
    op.execute("DROP TABLE sessions")
