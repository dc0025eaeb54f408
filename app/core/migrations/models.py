"""Makes the schema straight from the models, as the second opinion that `app migrate check` compares with."""

from __future__ import annotations

from sqlalchemy import Connection, MetaData, text

UPDATED_AT = "updated_at"

FUNCTION = """
CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at = now();
    RETURN NEW;
END;
$$
"""

FUNCTION_COMMENT = "COMMENT ON FUNCTION set_updated_at() IS 'Stamps updated_at; one function for all tables'"

TRIGGER = """
CREATE TRIGGER set_updated_at BEFORE UPDATE ON {table}
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at()
"""


def create_schema(connection: Connection, metadata: MetaData) -> None:
    """Types, tables, indexes, and the trigger that every table with `updated_at` must have."""
    connection.execute(text(FUNCTION))
    connection.execute(text(FUNCTION_COMMENT))
    metadata.create_all(connection, checkfirst=False)
    for table in metadata.sorted_tables:
        if UPDATED_AT in table.columns:
            connection.execute(text(TRIGGER.format(table=table.name)))
