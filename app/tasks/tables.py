"""The tables of work after the commit; why a column or an index is as it is, its revision in `migrations/` says."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.core.database import TIMESTAMP, created_at, id_column, metadata, updated_at

# A queue's rows live for seconds: vacuum has to come long before the stock fifth of them is dead.
OFTEN_VACUUMED = {
    "autovacuum_vacuum_scale_factor": 0.01,
    "autovacuum_vacuum_threshold": 200,
    "autovacuum_analyze_scale_factor": 0.05,
}

tasks = Table(
    "tasks",
    metadata,
    id_column(),
    Column("task_type", Text, nullable=False),
    Column("payload", JSONB, nullable=False, server_default=text("'{}'")),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("priority", Integer, nullable=False, server_default=text("0"), comment="Higher runs first"),
    Column("retry_count", Integer, nullable=False, server_default=text("0")),
    Column("max_retries", Integer, nullable=False, server_default=text("5")),
    Column("run_at", TIMESTAMP, nullable=False, server_default=text("now()")),
    Column("locked_by", Text),
    Column("locked_until", TIMESTAMP, comment="End of the lease; past it another worker may claim the task"),
    Column(
        "lease_seq",
        BigInteger,
        nullable=False,
        server_default=text("0"),
        comment="Grows with every claim and never repeats: an update that names an older one comes from a dead worker",
    ),
    Column("last_error", Text),
    Column("dedupe_key", Text),
    created_at(),
    updated_at(),
    Column("finished_at", TIMESTAMP),
    CheckConstraint("status IN ('pending', 'running', 'done', 'dead', 'cancelled')", name="status"),
    CheckConstraint("retry_count >= 0 AND max_retries >= 0", name="retries"),
    CheckConstraint(
        "status <> 'running' OR (locked_by IS NOT NULL AND locked_until IS NOT NULL)", name="running_has_lease"
    ),
    CheckConstraint("(status IN ('done', 'dead', 'cancelled')) = (finished_at IS NOT NULL)", name="finished_at"),
    Index("uq_tasks_dedupe_key", "dedupe_key", unique=True, postgresql_where=text("dedupe_key IS NOT NULL")),
    Index("ix_tasks_claim", text("priority DESC"), "run_at", "id", postgresql_where=text("status = 'pending'")),
    Index("ix_tasks_lease", "locked_until", postgresql_where=text("status = 'running'")),
    postgresql_with=OFTEN_VACUUMED,
    comment="Work to be done after the request that asked for it",
)

outbox = Table(
    "outbox",
    metadata,
    id_column(),
    Column("aggregate_type", Text, nullable=False),
    Column("aggregate_id", Uuid, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    created_at(),
    Column("processed_at", TIMESTAMP),
    Index("ix_outbox_unprocessed", "created_at", "id", postgresql_where=text("processed_at IS NULL")),
    postgresql_with=OFTEN_VACUUMED,
    comment="Events written in the transaction that caused them",
)

processed_events = Table(
    "processed_events",
    metadata,
    Column("event_id", Uuid, nullable=False),
    Column("handler_name", Text, nullable=False),
    Column("processed_at", TIMESTAMP, nullable=False, server_default=text("now()")),
    PrimaryKeyConstraint("event_id", "handler_name"),
    comment="Written in the handler's own transaction, so that an event delivered twice changes nothing",
)
