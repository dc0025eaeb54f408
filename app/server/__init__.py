"""A process in its role: our listener, an HTTP engine, a worker, and a stop that cuts nobody off."""

from app.server.app import create_app
from app.server.lifecycle import ServicesFailed, run_server
from app.server.role import Role

__all__ = ["Role", "ServicesFailed", "create_app", "run_server"]
