"""Access and refresh tokens, recorded so that each can be revoked at once.

Revision 0005 after 0004, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision: str | None = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE TYPE token_type AS ENUM ('access', 'refresh')")
    op.execute("""
CREATE TABLE jwt_tokens (
    id uuid NOT NULL DEFAULT uuidv7(),
    user_id uuid NOT NULL,
    token_type token_type NOT NULL,
    jti uuid NOT NULL,
    family_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked boolean NOT NULL DEFAULT false,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_jwt_tokens PRIMARY KEY (id),
    CONSTRAINT uq_jwt_tokens_jti UNIQUE (jti),
    CONSTRAINT fk_jwt_tokens_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_jwt_tokens_revoked_at CHECK (revoked = (revoked_at IS NOT NULL))
)
""")
    op.execute("COMMENT ON TABLE jwt_tokens IS 'Every token given out, so that each can be revoked at once'")
    op.execute(
        "COMMENT ON COLUMN jwt_tokens.family_id IS "
        "'Shared by all tokens that descend from one sign-in: reuse of an old one revokes the family'"
    )
    op.execute("CREATE INDEX ix_jwt_tokens_user_id ON jwt_tokens (user_id)")
    op.execute("CREATE INDEX ix_jwt_tokens_family_id ON jwt_tokens (family_id)")
    op.execute("CREATE INDEX ix_jwt_tokens_expires_at ON jwt_tokens (expires_at)")
    # Most rows are revoked or rotated away sooner or later; "revoke all of this user" wants the live few.
    op.execute("CREATE INDEX ix_jwt_tokens_not_revoked ON jwt_tokens (user_id, expires_at) WHERE NOT revoked")


def downgrade() -> None:
    op.execute("DROP TABLE jwt_tokens")
    # A type outlives the tables that use it; left behind, it would stop the next upgrade.
    op.execute("DROP TYPE token_type")
