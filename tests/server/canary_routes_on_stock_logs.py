"""The same routes in a process that logs as structlog and the standard library do by themselves."""

from __future__ import annotations

import logging

import structlog

from app.server import lifecycle
from tests.server.canary_routes import feature

__all__ = ["feature"]


def configure_stock_logging(*_: object, **__: object) -> None:
    """What structlog's documentation has for JSON logs."""
    logging.basicConfig(level=logging.DEBUG)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ]
    )


lifecycle.configure_logging = configure_stock_logging  # type: ignore[attr-defined]
