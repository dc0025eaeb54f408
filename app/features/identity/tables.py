"""The tables of identity; why a column or an index is as it is, its revision in `migrations/` says."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB

from app.core.database import TIMESTAMP, created_at, id_column, metadata, updated_at

users = Table(
    "users",
    metadata,
    id_column(),
    Column("email", Text, nullable=False, comment="Lower-case; 254 is the longest that SMTP carries (RFC 5321)"),
    Column("username", Text),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, comment="Argon2id in PHC form, never the password; none: signs in elsewhere only"),
    Column("role", Text, nullable=False, server_default="user"),
    Column("is_active", Boolean, nullable=False, server_default=text("true")),
    Column("email_verified", Boolean, nullable=False, server_default=text("false")),
    created_at(),
    updated_at(),
    UniqueConstraint("email"),
    UniqueConstraint("username"),
    CheckConstraint("email = lower(email)", name="email_lower"),
    CheckConstraint("char_length(email) BETWEEN 3 AND 254", name="email_length"),
    CheckConstraint("char_length(username) BETWEEN 1 AND 64", name="username_length"),
    CheckConstraint("char_length(name) BETWEEN 1 AND 255", name="name_length"),
    CheckConstraint("role IN ('admin', 'user')", name="role"),
    Index("ix_users_created_at", "created_at"),
    comment="People who sign in",
)

sessions = Table(
    "sessions",
    metadata,
    id_column(),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column(
        "token_hash",
        LargeBinary,
        nullable=False,
        comment="SHA-256 of the cookie; the cookie itself is not stored",
    ),
    Column("csrf_token", Text, nullable=False),
    Column("ip_address", INET),
    Column("user_agent", Text),
    Column("last_seen_at", TIMESTAMP, nullable=False, server_default=text("now()")),
    Column("expires_at", TIMESTAMP, nullable=False),
    created_at(),
    updated_at(),
    UniqueConstraint("token_hash"),
    CheckConstraint("octet_length(token_hash) = 32", name="token_hash_length"),
    Index("ix_sessions_user_id", "user_id"),
    Index("ix_sessions_expires_at", "expires_at"),
    postgresql_with={"fillfactor": 90, "autovacuum_vacuum_scale_factor": 0.05},
    comment="Signed-in browsers",
)

jwt_tokens = Table(
    "jwt_tokens",
    metadata,
    id_column(),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("token_type", Enum("access", "refresh", name="token_type", metadata=metadata), nullable=False),
    Column("jti", Uuid, nullable=False),
    Column(
        "family_id",
        Uuid,
        nullable=False,
        comment="Shared by all tokens that descend from one sign-in: reuse of an old one revokes the family",
    ),
    Column("expires_at", TIMESTAMP, nullable=False),
    Column("revoked", Boolean, nullable=False, server_default=text("false")),
    Column("revoked_at", TIMESTAMP),
    Column("access_jti", Uuid, comment="Of a refresh token: the access token that was given out with it"),
    Column("replaced_by", Uuid, comment="Of a used refresh token: the jti of its one successor"),
    created_at(),
    UniqueConstraint("jti"),
    CheckConstraint("revoked = (revoked_at IS NOT NULL)", name="revoked_at"),
    CheckConstraint("(access_jti IS NOT NULL) = (token_type = 'refresh')", name="access_jti"),
    CheckConstraint("replaced_by IS NULL OR revoked", name="replaced_by"),
    Index("ix_jwt_tokens_user_id", "user_id"),
    Index("ix_jwt_tokens_family_id", "family_id"),
    Index("ix_jwt_tokens_expires_at", "expires_at"),
    Index("ix_jwt_tokens_not_revoked", "user_id", "expires_at", postgresql_where=text("NOT revoked")),
    comment="Every token given out, so that each can be revoked at once",
)

api_keys = Table(
    "api_keys",
    metadata,
    id_column(),
    Column("name", Text, nullable=False),
    Column("key_prefix", Text, nullable=False, comment="First characters of the key, for people to tell keys apart"),
    Column("key_hash", LargeBinary, nullable=False, comment="SHA-256 of the whole key"),
    Column("created_by", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("permissions", JSONB, nullable=False, server_default=text("'[]'")),
    Column("expires_at", TIMESTAMP),
    Column("last_used_at", TIMESTAMP),
    Column("revoked_at", TIMESTAMP),
    Column("replaced_by", Uuid, comment="The key it was rotated to; both hold until this one expires"),
    created_at(),
    updated_at(),
    UniqueConstraint("key_hash"),
    CheckConstraint("char_length(name) BETWEEN 1 AND 255", name="name_length"),
    CheckConstraint("octet_length(key_hash) = 32", name="key_hash_length"),
    CheckConstraint("jsonb_typeof(permissions) = 'array'", name="permissions_array"),
    Index("ix_api_keys_created_by", "created_by"),
    comment="Keys for machines, shown once and stored as a hash",
)

registrations = Table(
    "registrations",
    metadata,
    id_column(),
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("expires_at", TIMESTAMP, nullable=False),
    created_at(),
    CheckConstraint("email = lower(email)", name="email_lower"),
    Index("ix_registrations_email", "email"),
    Index("ix_registrations_expires_at", "expires_at"),
    comment="People who have not shown yet that the address is theirs; several may claim the same one",
)

password_resets = Table(
    "password_resets",
    metadata,
    id_column(),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("expires_at", TIMESTAMP, nullable=False),
    created_at(),
    Index("ix_password_resets_user_id", "user_id"),
    Index("ix_password_resets_expires_at", "expires_at"),
    comment="Mails under way that let their reader choose a new password, each once",
)

external_identities = Table(
    "external_identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    created_at(),
    CheckConstraint("char_length(subject) BETWEEN 1 AND 255", name="subject_length"),
    Index("ix_external_identities_user_id", "user_id"),
    comment="Whom an OpenID provider knows under which name",
)

second_factors = Table(
    "second_factors",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("secret", LargeBinary, nullable=False, comment="Encrypted with session.secret"),
    Column("confirmed_at", TIMESTAMP, comment="From then on it is asked for"),
    Column("last_step", BigInteger, comment="RFC 6238: the time step of the last code that was taken; none is twice"),
    Column("failures", Integer, nullable=False, server_default=text("0"), comment="Tries in a row that were wrong"),
    Column("next_try_at", TIMESTAMP, comment="After many of them, no code is looked at before"),
    created_at(),
    updated_at(),
    comment="Second factors: time-based one-time passwords",
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True, comment="SHA-256; the code has 120 bits of randomness"),
    created_at(),
    CheckConstraint("octet_length(code_hash) = 32", name="code_hash_length"),
    comment="What stands in for a lost second factor, each once: a used one is deleted",
)
