"""What goes over a socket: the server's frames, encoded once for everybody, and those of clients, read strictly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wsproto.frame_protocol import FrameProtocol

from app.core.errors import BadRequest
from app.core.json import NotJson, dumps, loads
from app.core.realtime.messages import Position, is_topic

TOPIC_SHAPE = "word[:part]..., such as orders:42"

# It keeps nothing between two whole messages; frames of a server are the same for every peer, as nothing masks them.
_ENCODER = FrameProtocol(client=False, extensions=[])


def encode(message: bytes | str) -> bytes:
    """One text frame, ready for any number of wires; bytes must be UTF-8."""
    return bytes(_ENCODER.send_data(message if isinstance(message, str) else message.decode()))


PONG = encode('{"type":"pong"}')


def welcome_frame(connection_id: str, user_id: str | None, heartbeat_interval: float) -> bytes:
    """What every socket hears first; the interval is in seconds."""
    return _frame("welcome", connection_id=connection_id, user_id=user_id, heartbeat_interval=heartbeat_interval)


def subscribed_frame(topic: str, position: Position | None) -> bytes:
    """From here on the topic is heard; without a position, a resync follows."""
    return _frame("subscribed", topic=topic, **_place(position))


def unsubscribed_frame(topic: str) -> bytes:
    return _frame("unsubscribed", topic=topic)


def event_frame(topic: str, seq: int, data: bytes) -> bytes:
    """A push; `data` is JSON already, and is not looked at again."""
    return encode(b'{"type":"event","topic":"%b","seq":%d,"data":%b}' % (topic.encode(), seq, data))


def resync_frame(topic: str, position: Position | None) -> bytes:
    """Something of the topic may have been missed: fetch what is shown, and go on from here."""
    return _frame("resync", topic=topic, **_place(position))


def error_frame(code: str, sentence: str, topic: str | None = None) -> bytes:
    """What was wrong with a message; `topic` where it is about one."""
    about = {} if topic is None else {"topic": topic}
    return _frame("error", code=code, error=sentence, **about)


def _place(position: Position | None) -> dict[str, Any]:
    if position is None:
        return {"epoch": None, "seq": None}
    return {"epoch": position.epoch, "seq": position.seq}


def _frame(kind: str, **fields: Any) -> bytes:  # noqa: ANN401  (what JSON holds)
    return encode(dumps({"type": kind, **fields}))


class BadFrame(BadRequest):
    """The message could not be understood."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The client asks whether somebody is there."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The client wants to hear a topic."""

    topic: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The client has heard enough of a topic."""

    topic: str


@dataclass(frozen=True, slots=True)
class Publish:
    """The client has something to say to a topic."""

    topic: str
    data: Any


ClientFrame = Ping | Subscribe | Unsubscribe | Publish

# What clients may send: the class, and the fields beside `type`, which are all required.
KINDS: dict[str, tuple[type[ClientFrame], tuple[str, ...]]] = {
    "ping": (Ping, ()),
    "subscribe": (Subscribe, ("topic",)),
    "unsubscribe": (Unsubscribe, ("topic",)),
    "publish": (Publish, ("topic", "data")),
}


def read(message: str | bytes) -> ClientFrame:
    """One message of a client. Raises `BadFrame`, whose sentence names what was expected and repeats nothing."""
    if not isinstance(message, str):
        raise BadFrame("Send text: binary messages are not read here.")
    try:
        fields = loads(message.encode())
    except NotJson as error:
        raise BadFrame(f"The message must be JSON, but {error}.") from error
    if not isinstance(fields, dict):
        raise BadFrame('The message must be a JSON object, such as {"type": "ping"}.')
    return _of_kind(fields.pop("type", None), fields)


def _of_kind(name: Any, fields: dict[str, Any]) -> ClientFrame:  # noqa: ANN401  (decoded JSON)
    if not isinstance(name, str) or name not in KINDS:
        raise BadFrame(f"The field type must be one of: {', '.join(KINDS)}.")
    kind, expected = KINDS[name]
    if missing := [field for field in expected if field not in fields]:
        raise BadFrame(f"A message of type {name} needs the field {missing[0]}.")
    if len(fields) > len(expected):
        raise BadFrame(f"A message of type {name} has no fields but {', '.join(('type', *expected))}.")
    if expected and not (isinstance(fields["topic"], str) and is_topic(fields["topic"])):
        raise BadFrame(f"The field topic must have the form {TOPIC_SHAPE}.")
    return kind(**fields)
