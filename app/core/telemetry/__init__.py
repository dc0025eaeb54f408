"""Logs: one event per line, coloured for a person in development, JSON for a machine in production."""

from app.core.telemetry.levels import NEVER_BELOW_INFO, QUIET, ROOT, parse_levels
from app.core.telemetry.logs import configure_logging
from app.core.telemetry.redaction import secrets_of

__all__ = ["NEVER_BELOW_INFO", "QUIET", "ROOT", "configure_logging", "parse_levels", "secrets_of"]
