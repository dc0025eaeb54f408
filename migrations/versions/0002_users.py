"""People who sign in.

Revision 0002 after 0001, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision: str | None = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Two spellings of one address must not make two accounts, whatever code writes the row:
    # the check keeps addresses lower-case, so that the plain unique key is enough.
    op.execute("""
CREATE TABLE users (
    id uuid NOT NULL DEFAULT uuidv7(),
    email text NOT NULL,
    username text,
    name text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL DEFAULT 'user',
    is_active boolean NOT NULL DEFAULT true,
    email_verified boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT uq_users_email UNIQUE (email),
    CONSTRAINT uq_users_username UNIQUE (username),
    CONSTRAINT ck_users_email_lower CHECK (email = lower(email)),
    CONSTRAINT ck_users_email_length CHECK (char_length(email) BETWEEN 3 AND 254),
    CONSTRAINT ck_users_username_length CHECK (char_length(username) BETWEEN 1 AND 64),
    CONSTRAINT ck_users_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
    CONSTRAINT ck_users_role CHECK (role IN ('admin', 'user'))
)
""")
    op.execute("COMMENT ON TABLE users IS 'People who sign in'")
    op.execute("COMMENT ON COLUMN users.email IS 'Lower-case; 254 is the longest that SMTP carries (RFC 5321)'")
    op.execute("COMMENT ON COLUMN users.password_hash IS 'Argon2id in PHC form, never the password'")
    # Without the WHEN an update that changes nothing would still move the time.
    op.execute("""
CREATE TRIGGER set_updated_at BEFORE UPDATE ON users
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
""")


def downgrade() -> None:
    op.execute("DROP TABLE users")
