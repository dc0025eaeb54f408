"""The server role: our listener, Hypercorn, and a stop that cuts nobody off."""

from app.server.app import create_app
from app.server.lifecycle import ServicesFailed, run_server

__all__ = ["ServicesFailed", "create_app", "run_server"]
