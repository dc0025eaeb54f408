"""What goes over a socket: frames that any client reads, and messages that are read strictly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.realtime.messages import Position
from app.sockets.frames import (
    PONG,
    BadFrame,
    ClientFrame,
    Ping,
    Publish,
    Subscribe,
    Unsubscribe,
    encode,
    error_frame,
    event_frame,
    read,
    resync_frame,
    subscribed_frame,
    unsubscribed_frame,
    welcome_frame,
)
from tests.sockets.paper import decoded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_frames_of_every_length_reach_a_peer() -> None:
    messages = ["", "é", *("x" * size for size in (125, 126, 127, 65_535, 65_536, 70_000))]

    frames = [encode(json.dumps(message)) for message in messages]

    assert decoded(*frames) == messages


def test_text_and_its_bytes_are_one_frame() -> None:
    assert encode("é") == encode("é".encode()) == b"\x81\x02\xc3\xa9"


def test_each_frame_says_what_the_docs_say() -> None:
    position = Position("e", 7)

    seen = decoded(
        welcome_frame("c", None, 30.0),
        subscribed_frame("orders:1", position),
        subscribed_frame("orders:1", None),
        unsubscribed_frame("orders:1"),
        event_frame("orders:1", 8, b'{"a":[1]}'),
        PONG,
        resync_frame("orders:1", position),
        error_frame("FORBIDDEN", "No.", "orders:1"),
        error_frame("BAD_REQUEST", "What?"),
    )

    assert seen == [
        {"type": "welcome", "connection_id": "c", "user_id": None, "heartbeat_interval": 30.0},
        {"type": "subscribed", "topic": "orders:1", "epoch": "e", "seq": 7},
        {"type": "subscribed", "topic": "orders:1", "epoch": None, "seq": None},
        {"type": "unsubscribed", "topic": "orders:1"},
        {"type": "event", "topic": "orders:1", "seq": 8, "data": {"a": [1]}},
        {"type": "pong"},
        {"type": "resync", "topic": "orders:1", "epoch": "e", "seq": 7},
        {"type": "error", "code": "FORBIDDEN", "error": "No.", "topic": "orders:1"},
        {"type": "error", "code": "BAD_REQUEST", "error": "What?"},
    ]


@pytest.mark.parametrize(
    ("message", "frame"),
    [
        ('{"type": "ping"}', Ping()),
        ('{"type": "subscribe", "topic": "orders:42"}', Subscribe("orders:42")),
        ('{"topic": "a", "type": "unsubscribe"}', Unsubscribe("a")),
        ('{"type": "publish", "topic": "a:b", "data": null}', Publish("a:b", None)),
    ],
)
def test_what_clients_may_send(message: str, frame: ClientFrame) -> None:
    assert read(message) == frame


@given(JSON)
def test_data_of_any_shape_is_taken_as_it_is(data: Any) -> None:
    frame = read(json.dumps({"type": "publish", "topic": "a", "data": data}))

    assert frame == Publish("a", data)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", "Send text"),
        (b'{"type": "ping"}', "Send text"),
        ("", "must be JSON, but it is empty"),
        ("{", "must be JSON, but"),
        ('{"type": "ping"} {}', "must be JSON, but"),
        ('{"type": "ping", "type": "ping"}', "same key twice"),
        ('{"type": "publish", "topic": "a", "data": NaN}', "must be JSON, but"),
        ('{"type": "publish", "topic": "a", "data": 1' + "0" * 30 + "}", "does not fit 64 bits"),
        ('{"type": "publish", "topic": "a", "data": ' + "[" * 65 + "]" * 65 + "}", "deeper than 64 levels"),
        ('{"type": "publish", "topic": "a", "data": ' + "[" * 30_000 + "]" * 30_000 + "}", "deeper than 64 levels"),
        ("[]", "JSON object"),
        ('"ping"', "JSON object"),
        ("null", "JSON object"),
        ("{}", "type must be one of: ping, subscribe, unsubscribe, publish"),
        ('{"type": "welcome"}', "type must be one of"),
        ('{"type": ["ping"]}', "type must be one of"),
        ('{"type": null}', "type must be one of"),
        ('{"type": "subscribe"}', "subscribe needs the field topic"),
        ('{"type": "publish", "topic": "a"}', "publish needs the field data"),
        ('{"type": "ping", "id": 1}', "ping has no fields but type."),
        ('{"type": "subscribe", "topic": "a", "x": 1}', "subscribe has no fields but type, topic."),
        ('{"type": "subscribe", "topic": 1}', "topic must have the form word[:part]"),
        ('{"type": "subscribe", "topic": "Orders"}', "topic must have the form"),
    ],
)
def test_what_is_wrong_is_named(message: str | bytes, expected: str) -> None:
    with pytest.raises(BadFrame) as refused:
        read(message)

    assert expected in refused.value.message
    assert refused.value.code == "BAD_REQUEST"


@given(st.text() | st.binary() | JSON.map(json.dumps))
def test_no_message_does_more_than_be_refused(message: str | bytes) -> None:
    sentence = ""
    try:
        read(message)
    except BadFrame as refused:
        sentence = refused.message

    assert len(sentence) < 200


@pytest.mark.parametrize("name", ["a", "orders:42", "a:b:c:d:e", "a_1:X.y-z_0", f"a:{'x' * 64}"])
def test_names_of_topics(name: str) -> None:
    assert read(json.dumps({"type": "subscribe", "topic": name})) == Subscribe(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "A", "1a", "a:", ":a", "a::b", "a:b:c:d:e:f", "a b", "a\n", "a:b\n", "ä", "a:é", "a:*", "a:{b}"),
        *(f"a:{'x' * 65}", None, 1, ["a"], {"a": 1}),
    ],
)
def test_names_that_are_none(name: object) -> None:
    with pytest.raises(BadFrame, match="topic must have the form"):
        read(json.dumps({"type": "unsubscribe", "topic": name}))
