"""Section `server`: the HTTP side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.core.settings import declare


class EventLoop(StrEnum):
    """The loop that runs the server."""

    AUTO = "auto"
    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The HTTP side: where it listens, how long it waits, how it stops."""

    host: str = declare.host("127.0.0.1", "Address to listen on; 0.0.0.0 listens on every interface.")
    port: int = declare.whole(8000, 0, 65535, "Port to listen on; 0 takes any free one, which the log names.")
    backlog: int = declare.whole(2048, 1, 65535, "Connections the kernel holds before the server accepts them.")
    request_timeout: float = declare.seconds(30.0, 0.1, 3600, "A request that takes longer is answered with 408.")
    shutdown_timeout: float = declare.seconds(
        30.0, 0, 3600, "How long running requests may take to finish when the server stops, before they are cut."
    )
    drain_delay: float = declare.seconds(
        0.0,
        0,
        300,
        "How long readiness answers 503 after SIGTERM while connections are still accepted, so that a "
        "load balancer notices; `server.shutdown_timeout` begins after it.",
    )
    event_loop: EventLoop = declare.choice(
        EventLoop.AUTO, "The event loop; auto takes uvloop where it is installed and asyncio elsewhere."
    )
    cors_origins: tuple[str, ...] = declare.origins("Web origins whose pages may call the API with credentials.")
