"""Section `websocket`: realtime connections."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import declare


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSocket:
    """Realtime connections: how they are watched, what each may take, and how many there may be."""

    anonymous: bool = declare.flag(
        False, "Let sockets in that carry no credentials; they reach only the topics that are open to anybody."
    )
    heartbeat_interval: float = declare.seconds(
        30.0, 0.1, 3600, "A peer that has been silent for so long is sent a ping, which any client answers by itself."
    )
    heartbeat_timeout: float = declare.seconds(
        75.0, 0.2, 7200, "A peer that has been silent for so long is gone, even where its connection looks open."
    )
    send_timeout: float = declare.seconds(
        5.0, 0.1, 300, "A peer that takes none of what waits for it for so long is dropped."
    )
    send_buffer: int = declare.whole(
        262_144,
        1024,
        1_073_741_824,
        "Most bytes that may wait for one peer; a slower one is closed with 1013, and may come back.",
    )
    message_limit: int = declare.whole(
        65_536, 128, 1_073_741_824, "Largest message of a client in bytes; a larger one closes its socket with 1009."
    )
    message_rate: int = declare.whole(
        20,
        1,
        1_000_000,
        "Messages a second that one socket may send on average, and ten times as many at once; those above are "
        "refused, and who goes on regardless is closed with 1008.",
    )
    max_connections: int = declare.whole(
        10_000, 1, 1_000_000, "Most sockets of one process; others are answered with 503 before they open."
    )
    max_per_user: int = declare.whole(
        20, 1, 1_000_000, "Most sockets of one user in one process; others are answered with 429 before they open."
    )
    max_per_address: int = declare.whole(
        200, 1, 1_000_000, "Most sockets from one address in one process; others are answered with 429."
    )
    max_topics: int = declare.whole(100, 1, 100_000, "Most topics that one socket may subscribe to.")
    ticket_lifetime: float = declare.seconds(
        30.0, 1, 3600, "How long a ticket opens a socket; each opens one, for browsers that sign in with tokens."
    )
    review_interval: float = declare.seconds(
        60.0, 0.1, 3600, "Time between two checks that those whose sockets are open are still signed in."
    )
    reconnect_spread: float = declare.seconds(
        5.0, 0, 300, "Over how many seconds the clients of a process that stops are told to spread their return."
    )
