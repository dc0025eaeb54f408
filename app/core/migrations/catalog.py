"""A schema as PostgreSQL itself describes it: one line for each object, whatever made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from app.core.migrations.connection import Connection

Snapshot: TypeAlias = Mapping[str, str]

# Every query gives (name, definition). The order of columns in a table is left out: a column that was added
# later stands last in the migrated table and where it belongs in the model.
QUERIES = {
    "table": """
        SELECT c.relname,
               concat_ws('; ', c.relkind, c.relpersistence, 'options ' || array_to_string(
                   ARRAY(SELECT unnest(c.reloptions) ORDER BY 1), ', '),
                   CASE WHEN c.relrowsecurity THEN 'row security' END,
                   'comment ' || obj_description(c.oid, 'pg_class'))
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
    """,
    "column": """
        SELECT c.relname || '.' || a.attname,
               concat_ws('; ', format_type(a.atttypid, a.atttypmod),
                   CASE WHEN a.attnotnull THEN 'not null' END,
                   'default ' || pg_get_expr(d.adbin, d.adrelid),
                   'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, ''),
                   'storage ' || nullif(a.attstorage, t.typstorage)::text,
                   'compression ' || nullif(a.attcompression::text, ''),
                   'collation ' || nullif(a.attcollation, t.typcollation)::regcollation::text,
                   'comment ' || col_description(c.oid, a.attnum))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND a.attnum > 0 AND NOT a.attisdropped
    """,
    # NOT NULL has a row of its own here since PostgreSQL 18; the column's line already tells of it.
    "constraint": """
        SELECT coalesce(n.conrelid::regclass || '.', '') || n.conname,
               concat_ws('; ', pg_get_constraintdef(n.oid), CASE WHEN NOT n.convalidated THEN 'not validated' END,
                   'comment ' || obj_description(n.oid, 'pg_constraint'))
        FROM pg_constraint n WHERE n.connamespace = 'public'::regnamespace AND n.contype <> 'n'
    """,
    "index": """
        SELECT i.indexrelid::regclass::text,
               concat_ws('; ', pg_get_indexdef(i.indexrelid), CASE WHEN NOT i.indisvalid THEN 'INVALID' END,
                   'comment ' || obj_description(i.indexrelid, 'pg_class'))
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace
    """,
    "trigger": """
        SELECT t.tgrelid::regclass || '.' || t.tgname,
               concat_ws('; ', pg_get_triggerdef(t.oid), 'fires ' || t.tgenabled::text)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND c.relnamespace = 'public'::regnamespace
    """,
    "function": """
        SELECT p.oid::regprocedure::text, concat_ws('; ', pg_get_functiondef(p.oid),
               'comment ' || obj_description(p.oid, 'pg_proc'))
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')
          AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
    """,
    "enum": """
        SELECT t.typname, string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
               || coalesce('; comment ' || obj_description(t.oid, 'pg_type'), '')
        FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
        WHERE t.typnamespace = 'public'::regnamespace GROUP BY t.oid, t.typname
    """,
    "domain": """
        SELECT typname, concat_ws('; ', format_type(typbasetype, typtypmod), 'default ' || typdefault)
        FROM pg_type WHERE typtype = 'd' AND typnamespace = 'public'::regnamespace
    """,
    "view": """
        SELECT oid::regclass::text, pg_get_viewdef(oid) FROM pg_class
        WHERE relkind IN ('v', 'm') AND relnamespace = 'public'::regnamespace
    """,
    "extension": "SELECT extname, extversion FROM pg_extension",
}

# Alembic's own table is in no model.
ALEMBIC = "alembic_version"


async def snapshot(connection: Connection) -> Snapshot:
    """Everything in the schema `public`, Alembic's own table left out."""
    found: dict[str, str] = {}
    for kind, query in QUERIES.items():
        for name, definition in await connection.fetch(query):
            if ALEMBIC not in name:
                found[f"{kind} {name}"] = definition
    return found


def differences(migrated: Snapshot, modelled: Snapshot) -> list[str]:
    """What two snapshots do not have in common, one paragraph for each object; none when they agree."""
    names = sorted(migrated.keys() | modelled.keys())
    return [_difference(name, migrated, modelled) for name in names if migrated.get(name) != modelled.get(name)]


def _difference(name: str, migrated: Snapshot, modelled: Snapshot) -> str:
    if name not in modelled:
        return f"{name}: only the migrations make it: {migrated[name]}"
    if name not in migrated:
        return f"{name}: only the models have it: {modelled[name]}"
    return f"{name}:\n  migrations: {migrated[name]}\n  models:     {modelled[name]}"
