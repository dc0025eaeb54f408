"""Keys for machines.

Revision 0006 after 0005, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A key acts for the person who made it, so it goes when that person goes.
    op.execute("""
CREATE TABLE api_keys (
    id uuid NOT NULL DEFAULT uuidv7(),
    name text NOT NULL,
    key_prefix text NOT NULL,
    key_hash bytea NOT NULL,
    created_by uuid NOT NULL,
    permissions jsonb NOT NULL DEFAULT '[]',
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_api_keys PRIMARY KEY (id),
    CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash),
    CONSTRAINT fk_api_keys_created_by_users FOREIGN KEY (created_by) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_api_keys_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
    CONSTRAINT ck_api_keys_key_hash_length CHECK (octet_length(key_hash) = 32),
    CONSTRAINT ck_api_keys_permissions_array CHECK (jsonb_typeof(permissions) = 'array')
)
""")
    op.execute("COMMENT ON TABLE api_keys IS 'Keys for machines, shown once and stored as a hash'")
    op.execute("COMMENT ON COLUMN api_keys.key_prefix IS 'First characters of the key, for people to tell keys apart'")
    op.execute("COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 of the whole key'")
    op.execute("CREATE INDEX ix_api_keys_created_by ON api_keys (created_by)")
    op.execute("""
CREATE TRIGGER set_updated_at BEFORE UPDATE ON api_keys
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
""")


def downgrade() -> None:
    op.execute("DROP TABLE api_keys")
