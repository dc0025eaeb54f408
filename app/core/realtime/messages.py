"""What travels between instances: the channels of Redis, and what is said on them.

Pub/sub delivers at most once and tells nobody of what it lost. So every message of a topic has the next number of it
(`seq`), counted by Redis in the same script that publishes, within an `epoch`: a random name for one unbroken count.
Whoever sees another epoch, or a number that is not the next, has missed something (the model of Centrifugo).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.core import json

# Reserved: every socket hears it, without subscribing.
EVERYONE = "everyone"

TOPIC = re.compile(r"[a-z][a-z0-9_]*(:[A-Za-z0-9_.-]{1,64}){0,4}")


def is_topic(name: str) -> bool:
    """Whether it has the form `word[:part]...`, with at most four parts."""
    return TOPIC.fullmatch(name) is not None


def user_topic(user_id: str) -> str:
    """A user's own topic, which all of the user's sockets hear without subscribing."""
    return f"user:{user_id}"


@dataclass(frozen=True, slots=True)
class Position:
    """How far a topic has come; `seq` counts from 1 within `epoch`."""

    epoch: str
    seq: int

    @property
    def before(self) -> Position:
        """Where the topic was when this message was the next."""
        return Position(self.epoch, self.seq - 1)

    def follows(self, last: Position) -> bool:
        """Whether nothing lies between the two."""
        return self.before == last


class Channels:
    """The names in Redis. Channels are shared by all its databases, so they say which one they belong to."""

    def __init__(self, redis_url: str) -> None:
        """`redis_url` as in `redis.url`, which names a database in its path or as `?db=`."""
        self._prefix = f"realtime:{_database(redis_url)}:"
        self.control = f"{self._prefix}control"

    def of_topic(self, topic: str) -> str:
        """Where a topic's messages are published."""
        return f"{self._prefix}topic:{topic}"

    def topic_of(self, channel: str) -> str | None:
        """The topic that a channel belongs to; None for another one."""
        prefix = f"{self._prefix}topic:"
        return channel.removeprefix(prefix) if channel.startswith(prefix) else None


def _database(redis_url: str) -> int:
    url = urlsplit(redis_url)
    in_path = "" if url.scheme == "unix" else url.path.strip("/")
    return int(in_path or parse_qs(url.query).get("db", ["0"])[0])


def state_key(topic: str) -> str:
    """Where Redis keeps a topic's position."""
    return f"realtime:state:{topic}"


class Kind(Enum):
    """What a message of a topic is; the values are its first word."""

    EVENT = b"event"
    RESYNC = b"resync"  # something was to be published and was not: whoever listens must fetch anew


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a topic, as the script of Redis writes it: `kind epoch seq microseconds data`."""

    kind: Kind
    position: Position
    at: float  # seconds since 1970, by the clock of Redis
    data: bytes  # JSON, parsed by nobody in between

    @classmethod
    def parse(cls, payload: bytes) -> Message:
        """Raises `ValueError` for what no publisher of ours has sent."""
        kind, epoch, seq, at, data = payload.split(b" ", 4)
        return cls(Kind(kind), Position(epoch.decode(), int(seq)), int(at) / 1_000_000, data)


@dataclass(frozen=True, slots=True)
class SignOut:
    """Whose sockets are to be closed: all of a user, or those that were opened with one credential."""

    user_id: str
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """What is said to every instance: whose sockets to close, and what else to do because too much was owed."""

    sign_outs: tuple[SignOut, ...] = ()
    review: bool = False  # ask at once which credentials still hold
    resync: bool = False  # every topic

    def dump(self) -> bytes:
        """As it is sent on the control channel."""
        pairs = [(each.user_id, each.credential) for each in self.sign_outs]
        return json.dumps({"sign_outs": pairs, "review": self.review, "resync": self.resync})

    @classmethod
    def parse(cls, payload: bytes) -> Control:
        """Raises `ValueError` for what no publisher of ours has sent."""
        try:
            said = json.loads(payload)
            return cls(tuple(_sign_outs(said["sign_outs"])), bool(said["review"]), bool(said["resync"]))
        except (KeyError, TypeError) as error:
            raise ValueError("not a control message") from error


def _sign_outs(pairs: Any) -> Iterable[SignOut]:  # noqa: ANN401  (decoded JSON)
    for user_id, credential in pairs:
        yield SignOut(str(user_id), None if credential is None else str(credential))
