"""Lists of users are read newest first.

Revision 0003 after 0002, 2026-11-21.
"""

from __future__ import annotations

from app.core.migrations.concurrently import build_index, drop_index

revision = "0003"
down_revision: str | None = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A plain CREATE INDEX stops every write to the table while it runs; this one lets them through.
    build_index("ix_users_created_at", "users (created_at)")


def downgrade() -> None:
    drop_index("ix_users_created_at")
