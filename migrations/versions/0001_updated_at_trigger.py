"""One function keeps `updated_at` true in every table that has it.

Revision 0001, first of all, 2026-11-21.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    # now() is the start of the transaction: all rows that one use case touches carry the same time.
    op.execute("""
CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END;
$$
""")
    op.execute("COMMENT ON FUNCTION set_updated_at() IS 'Stamps updated_at; one function for all tables'")


def downgrade() -> None:
    op.execute("DROP FUNCTION set_updated_at()")
