"""What uvicorn is told, and hands to every connection."""

from __future__ import annotations

from typing import Any

import uvicorn

from app.server.engine import Connections


class EngineConfig(uvicorn.Config):
    """uvicorn's, with the connections of this run."""

    def __init__(self, app: Any, connections: Connections, **options: Any) -> None:  # noqa: ANN401  (uvicorn's own)
        super().__init__(app, **options)
        self.connections = connections
