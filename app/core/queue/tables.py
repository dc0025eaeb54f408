"""The tables of work after the commit; why a column or an index is as it is, its revision in `migrations/` says."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
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
    Column("crash_count", Integer, nullable=False, server_default=text("0"), comment="Leases that ran out"),
    Column("order_key", Text, comment="Tasks with the same key run one after another"),
    Column("order_position", BigInteger, comment="Their order"),
    Column("context", JSONB, nullable=False, server_default=text("'{}'"), comment="The request and trace behind it"),
    CheckConstraint("status IN ('waiting', 'pending', 'running')", name="status"),
    CheckConstraint("retry_count >= 0 AND max_retries >= 0 AND crash_count >= 0", name="retries"),
    CheckConstraint("priority BETWEEN -1 AND 1", name="priority"),
    CheckConstraint(
        "(status = 'running') = (locked_by IS NOT NULL AND locked_until IS NOT NULL)", name="running_has_lease"
    ),
    CheckConstraint("(order_key IS NULL) = (order_position IS NULL)", name="order_position"),
    CheckConstraint("status <> 'waiting' OR order_key IS NOT NULL", name="waiting_has_order"),
    Index("uq_tasks_dedupe_key", "dedupe_key", unique=True, postgresql_where=text("dedupe_key IS NOT NULL")),
    Index("ix_tasks_claim", "task_type", "priority", "run_at", "id", postgresql_where=text("status = 'pending'")),
    Index("ix_tasks_lease", "locked_until", postgresql_where=text("status = 'running'")),
    Index("ix_tasks_order", "order_key", "order_position", postgresql_where=text("order_key IS NOT NULL")),
    Index(
        "uq_tasks_order_active",
        "order_key",
        unique=True,
        postgresql_where=text("order_key IS NOT NULL AND status <> 'waiting'"),
    ),
    postgresql_with=OFTEN_VACUUMED,
    comment="Work to be done after the request that asked for it",
)

finished_tasks = Table(
    "finished_tasks",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("task_type", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("retry_count", Integer, nullable=False),
    Column("max_retries", Integer, nullable=False),
    Column("crash_count", Integer, nullable=False),
    Column("lease_seq", BigInteger, nullable=False),
    Column("run_at", TIMESTAMP, nullable=False),
    Column("locked_by", Text, comment="The worker that had it last"),
    Column("last_error", Text),
    Column("dedupe_key", Text),
    Column("order_key", Text),
    Column("order_position", BigInteger),
    Column("context", JSONB, nullable=False),
    Column("created_at", TIMESTAMP, nullable=False),
    Column("finished_at", TIMESTAMP, nullable=False, server_default=text("now()")),
    CheckConstraint("status IN ('done', 'dead', 'cancelled')", name="status"),
    Index("ix_finished_tasks_finished_at", "finished_at"),
    Index("ix_finished_tasks_not_done", "status", "finished_at", postgresql_where=text("status <> 'done'")),
    comment="Work that has ended, apart from what is still to be done, so that neither slows the other",
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
    Column(
        "position",
        BigInteger,
        Identity(always=True),
        nullable=False,
        comment="The order of the events of one aggregate: it is taken under a lock that is held until the commit",
    ),
    Column("context", JSONB, nullable=False, server_default=text("'{}'"), comment="The request and trace behind it"),
    Index("ix_outbox_unprocessed", "position", postgresql_where=text("processed_at IS NULL")),
    Index("ix_outbox_processed_at", "processed_at", postgresql_where=text("processed_at IS NOT NULL")),
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
    Index("ix_processed_events_processed_at", "processed_at"),
    comment="Written in the handler's own transaction, so that an event delivered twice changes nothing",
)

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last_tick", TIMESTAMP, nullable=False, comment="The last time for which its task was enqueued"),
    comment="How far each schedule has come, whatever the number of workers",
)
