"""What sign-in needs beside users: mails under way, second factors, other issuers, and which token followed which.

Revision 0014 after 0013, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision: str | None = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE users ALTER COLUMN password_hash DROP NOT NULL")
    op.execute(
        "COMMENT ON COLUMN users.password_hash IS "
        "'Argon2id in PHC form, never the password; none: signs in elsewhere only'"
    )

    # A refresh token is used once. Who lost the answer asks again and must get the same successor, not a second one:
    # the row says which that is.
    op.execute("ALTER TABLE jwt_tokens ADD COLUMN access_jti uuid, ADD COLUMN replaced_by uuid")
    op.execute(
        "COMMENT ON COLUMN jwt_tokens.access_jti IS 'Of a refresh token: the access token that was given out with it'"
    )
    op.execute("COMMENT ON COLUMN jwt_tokens.replaced_by IS 'Of a used refresh token: the jti of its one successor'")
    # Nothing has given out tokens before this revision; rows that a person made by hand could not be renewed.
    op.execute("DELETE FROM jwt_tokens WHERE token_type = 'refresh'")
    op.execute("""
ALTER TABLE jwt_tokens
    ADD CONSTRAINT ck_jwt_tokens_access_jti CHECK ((access_jti IS NOT NULL) = (token_type = 'refresh')),
    ADD CONSTRAINT ck_jwt_tokens_replaced_by CHECK (replaced_by IS NULL OR revoked)
""")

    op.execute("ALTER TABLE api_keys ADD COLUMN replaced_by uuid")
    op.execute(
        "COMMENT ON COLUMN api_keys.replaced_by IS 'The key it was rotated to; both hold until this one expires'"
    )

    # A user exists once the address is known to be theirs. Until then several may claim it, each with a password of
    # their own: whoever reads the mail takes the password of that registration, and of no other.
    op.execute("""
CREATE TABLE registrations (
    id uuid NOT NULL DEFAULT uuidv7(),
    email text NOT NULL,
    name text NOT NULL,
    password_hash text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_registrations PRIMARY KEY (id),
    CONSTRAINT ck_registrations_email_lower CHECK (email = lower(email))
)
""")
    op.execute(
        "COMMENT ON TABLE registrations IS "
        "'People who have not shown yet that the address is theirs; several may claim the same one'"
    )
    op.execute("CREATE INDEX ix_registrations_email ON registrations (email)")
    op.execute("CREATE INDEX ix_registrations_expires_at ON registrations (expires_at)")

    # No token is stored: what the mail holds is the id, sealed with session.secret.
    op.execute("""
CREATE TABLE password_resets (
    id uuid NOT NULL DEFAULT uuidv7(),
    user_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_password_resets PRIMARY KEY (id),
    CONSTRAINT fk_password_resets_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
)
""")
    op.execute(
        "COMMENT ON TABLE password_resets IS 'Mails under way that let their reader choose a new password, each once'"
    )
    op.execute("CREATE INDEX ix_password_resets_user_id ON password_resets (user_id)")
    op.execute("CREATE INDEX ix_password_resets_expires_at ON password_resets (expires_at)")

    op.execute("""
CREATE TABLE external_identities (
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_external_identities PRIMARY KEY (issuer, subject),
    CONSTRAINT fk_external_identities_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_external_identities_subject_length CHECK (char_length(subject) BETWEEN 1 AND 255)
)
""")
    op.execute("COMMENT ON TABLE external_identities IS 'Whom an OpenID provider knows under which name'")
    op.execute("CREATE INDEX ix_external_identities_user_id ON external_identities (user_id)")

    op.execute("""
CREATE TABLE second_factors (
    user_id uuid NOT NULL,
    secret bytea NOT NULL,
    confirmed_at timestamptz,
    last_step bigint,
    failures integer NOT NULL DEFAULT 0,
    next_try_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_second_factors PRIMARY KEY (user_id),
    CONSTRAINT fk_second_factors_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
)
""")
    op.execute("COMMENT ON TABLE second_factors IS 'Second factors: time-based one-time passwords'")
    op.execute("COMMENT ON COLUMN second_factors.secret IS 'Encrypted with session.secret'")
    op.execute("COMMENT ON COLUMN second_factors.confirmed_at IS 'From then on it is asked for'")
    op.execute(
        "COMMENT ON COLUMN second_factors.last_step IS "
        "'RFC 6238: the time step of the last code that was taken; none is twice'"
    )
    # Here, not in Redis: who knows the password must not get more tries by way of other addresses or of an outage.
    op.execute("COMMENT ON COLUMN second_factors.failures IS 'Tries in a row that were wrong'")
    op.execute("COMMENT ON COLUMN second_factors.next_try_at IS 'After many of them, no code is looked at before'")
    op.execute("""
CREATE TRIGGER set_updated_at BEFORE UPDATE ON second_factors
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
""")

    op.execute("""
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL,
    code_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_recovery_codes PRIMARY KEY (user_id, code_hash),
    CONSTRAINT fk_recovery_codes_user_id_users FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT ck_recovery_codes_code_hash_length CHECK (octet_length(code_hash) = 32)
)
""")
    op.execute(
        "COMMENT ON TABLE recovery_codes IS 'What stands in for a lost second factor, each once: a used one is deleted'"
    )
    op.execute("COMMENT ON COLUMN recovery_codes.code_hash IS 'SHA-256; the code has 120 bits of randomness'")


def downgrade() -> None:
    op.execute("DROP TABLE recovery_codes")
    op.execute("DROP TABLE second_factors")
    op.execute("DROP TABLE external_identities")
    op.execute("DROP TABLE password_resets")
    op.execute("DROP TABLE registrations")
    op.execute("ALTER TABLE api_keys DROP COLUMN replaced_by")
    op.execute("ALTER TABLE jwt_tokens DROP COLUMN access_jti, DROP COLUMN replaced_by")
    # Users who only sign in elsewhere would have no password at all: one that nobody's password makes.
    op.execute("UPDATE users SET password_hash = '!' WHERE password_hash IS NULL")
    op.execute("ALTER TABLE users ALTER COLUMN password_hash SET NOT NULL")
    op.execute("COMMENT ON COLUMN users.password_hash IS 'Argon2id in PHC form, never the password'")
