"""The after-commit edge: tasks and the outbox, kept in PostgreSQL."""
