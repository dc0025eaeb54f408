"""What travels between instances: the channels of Redis, and what is said on them.

Pub/sub delivers at most once and tells nobody of what it lost. So every message of a topic has the next number of it
(`seq`), counted by Redis in the same script that publishes, within an `epoch`: a random name for one unbroken count.
Whoever sees another epoch, or a number that is not the next, has missed something (the model of Centrifugo).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

# Reserved: every socket hears it, without subscribing.
EVERYONE = "everyone"


def user_topic(user_id: str) -> str:
    """A user's own topic, which all of the user's sockets hear without subscribing."""
    return f"user:{user_id}"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a topic has come; `seq` counts from 1 within `epoch`."""

    epoch: str
    seq: int


class Channels:
    """The names in Redis. Channels are shared by all its databases, so they say which one they belong to."""

    def __init__(self, redis_url: str) -> None:
        """`redis_url` as in `redis.url`, whose path is the number of the database."""
        self._prefix = f"realtime:{urlsplit(redis_url).path.strip('/') or '0'}:"
        self.control = f"{self._prefix}control"

    def of_topic(self, topic: str) -> str:
        """Where a topic's messages are published."""
        return f"{self._prefix}topic:{topic}"

    def topic_of(self, channel: str) -> str | None:
        """The topic that a channel belongs to; None for another one."""
        prefix = f"{self._prefix}topic:"
        return channel.removeprefix(prefix) if channel.startswith(prefix) else None


def state_key(topic: str) -> str:
    """Where Redis keeps a topic's position: a hash of `epoch` and `seq`."""
    return f"realtime:state:{topic}"
