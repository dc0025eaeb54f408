"""The tables of memberships; why a column or an index is as it is, its revision in `migrations/` says."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from app.core.database import TIMESTAMP, created_at, id_column, metadata, updated_at

memberships = Table(
    "memberships",
    metadata,
    id_column(),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="RESTRICT"), nullable=False),
    Column("tier", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("stripe_customer_id", Text),
    Column("stripe_subscription_id", Text),
    Column("current_period_start", TIMESTAMP),
    Column("current_period_end", TIMESTAMP),
    created_at(),
    updated_at(),
    UniqueConstraint("user_id"),
    CheckConstraint("tier IN ('free', 'monthly', 'annual')", name="tier"),
    CheckConstraint("status IN ('active', 'cancelled', 'expired', 'pending')", name="status"),
    CheckConstraint("current_period_end > current_period_start", name="period"),
    Index(
        "ix_memberships_stripe_customer_id",
        "stripe_customer_id",
        postgresql_where=text("stripe_customer_id IS NOT NULL"),
    ),
    comment="What a user has paid for; one row a user",
)

billing_history = Table(
    "billing_history",
    metadata,
    id_column(),
    Column("membership_id", Uuid, ForeignKey("memberships.id", ondelete="RESTRICT"), nullable=False),
    Column("event_type", Text, nullable=False),
    Column("amount_cents", BigInteger, comment="In the currency's smallest unit; empty: no money moved"),
    Column("currency", Text, nullable=False, server_default="CAD", comment="ISO 4217, upper-case"),
    Column("stripe_invoice_id", Text),
    Column("description", Text),
    created_at(),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    Index("ix_billing_history_membership_id_created_at", "membership_id", text("created_at DESC")),
    comment="What was charged, refunded or refused; rows are only added",
)
