"""The runner and the revisions, against a real PostgreSQL."""
