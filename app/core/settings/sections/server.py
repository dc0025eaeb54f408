"""Section `server`: the HTTP side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.core.settings import declare
from app.core.settings.kinds import Network


class EventLoop(StrEnum):
    """The loop that runs the server."""

    AUTO = "auto"
    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


class HttpEngine(StrEnum):
    """What speaks HTTP."""

    HYPERCORN = "hypercorn"
    UVICORN = "uvicorn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The HTTP side: where it listens, how long it waits, how it stops."""

    host: str = declare.host("127.0.0.1", "Address to listen on; 0.0.0.0 listens on every interface.")
    port: int = declare.whole(8000, 0, 65535, "Port to listen on; 0 takes any free one, which the log names.")
    backlog: int = declare.whole(2048, 1, 65535, "Connections the kernel holds before the server accepts them.")
    request_timeout: float = declare.seconds(30.0, 0.1, 3600, "A request that takes longer is answered with 408.")
    keep_alive_timeout: float = declare.seconds(
        75.0,
        0.1,
        3600,
        "How long an idle connection is kept for its next request; longer than a balancer in front keeps it, which "
        "would else send a request into a connection that is being closed.",
    )
    body_limit: int = declare.whole(
        1_048_576,
        0,
        1_073_741_824,
        "Largest body of a request in bytes, unless its route says otherwise; a larger one is answered with 413.",
    )
    body_timeout: float = declare.seconds(
        10.0,
        0.1,
        3600,
        "A body that has not arrived by then is answered with 408; every KiB of it gives a second more.",
    )
    max_in_flight: int = declare.whole(
        500,
        1,
        100_000,
        "Most requests one process works on at a time; others are answered with 503 at once. Each may hold half a MiB "
        "of a body that its handler does not read.",
    )
    trusted_proxies: tuple[Network, ...] = declare.networks(
        "",
        "Networks of the proxies in front; only from these are `X-Forwarded-For` and `X-Forwarded-Proto` believed.",
    )
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
    engine: HttpEngine = declare.choice(
        HttpEngine.HYPERCORN, "What speaks HTTP; uvicorn answers more requests a second, with the same promises."
    )
    event_loop: EventLoop = declare.choice(
        EventLoop.AUTO, "The event loop; auto takes uvloop where it is installed and asyncio elsewhere."
    )
    cors_origins: tuple[str, ...] = declare.origins("Web origins whose pages may call the API with credentials.")
