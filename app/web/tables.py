"""The table of the HTTP edge; why a column is as it is, its revision in `migrations/` says."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, PrimaryKeyConstraint, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from app.core.database import TIMESTAMP, created_at, metadata

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("scope", Text, nullable=False, comment="Whose key it is: two callers may choose the same"),
    Column("key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False, comment="SHA-256 of the request: a key stands for one only"),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    created_at(),
    Column("expires_at", TIMESTAMP, nullable=False),
    PrimaryKeyConstraint("scope", "key"),
    CheckConstraint("length(key) BETWEEN 1 AND 255", name="key_length"),
    CheckConstraint("length(fingerprint) = 32", name="fingerprint_length"),
    CheckConstraint("status BETWEEN 200 AND 599", name="status"),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
    comment="Answers to requests with an Idempotency-Key, written in the transaction of their effects",
)
