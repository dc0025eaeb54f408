"""Where Alembic enters: puts the runner's connection into the context and runs the revision it was given.

The connection, the lock, the time limits and the retries are the runner's (`app/core/migrations`), hence no
alembic.ini, no engine and no logging set-up here.
"""

from __future__ import annotations

from alembic import context

given = context.config.attributes

if "connection" not in given:
    raise SystemExit("Migrations run through `app migrate`, which holds the migration lock while they do.")

context.configure(
    connection=given["connection"],
    target_metadata=given.get("metadata"),
    # A revision that fails takes none of its predecessors with it, and no lock is held for longer than one needs.
    transaction_per_migration=True,
    compare_server_default=True,
)

with context.begin_transaction():
    context.run_migrations()
