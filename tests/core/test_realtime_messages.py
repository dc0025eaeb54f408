"""Names of topics and channels, and what is said on them: read back as it was written, and nothing else."""

from __future__ import annotations

import pytest

from app.core.realtime import Channels, Position, is_topic
from app.core.realtime.messages import Control, Kind, Message, SignOut

LONG = "x" * 65


@pytest.mark.parametrize("name", ["everyone", "user:0199-ab", "orders:42", "a:b:c:d:e", "a_1:A.b_c-9"])
def test_a_word_and_up_to_four_parts_name_a_topic(name: str) -> None:
    assert is_topic(name)


@pytest.mark.parametrize(
    "name", ["", ":", "a:", "A", "1a", "a b", "a:b:c:d:e:f", f"a:{LONG}", "a:ä", "a:*", "a:b\n", "a\n", "a:{b}"]
)
def test_nothing_else_names_a_topic(name: str) -> None:
    assert not is_topic(name)


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("redis://host", 0),
        ("redis://user:secret@host:6379/7", 7),
        ("rediss://host/?db=3", 3),
        ("unix:///run/redis.sock", 0),
        ("unix:///run/redis.sock?db=5", 5),
    ],
)
def test_channels_say_which_database_they_belong_to_and_nothing_secret(url: str, database: int) -> None:
    channels = Channels(url)

    assert channels.control == f"realtime:{database}:control"
    assert channels.of_topic("a:1") == f"realtime:{database}:topic:a:1"
    assert channels.topic_of(channels.of_topic("a:1")) == "a:1"
    assert channels.topic_of(channels.control) is None
    assert Channels("redis://host/99").topic_of(channels.of_topic("a:1")) is None


def test_a_message_is_read_and_its_data_left_alone() -> None:
    message = Message.parse(b'event 5f3a 12 1700000000250000 {"a": [1, 2]} x')

    assert message == Message(Kind.EVENT, Position("5f3a", 12), 1_700_000_000.25, b'{"a": [1, 2]} x')


@pytest.mark.parametrize("payload", [b"", b"event", b"event e 1 2", b"other e 1 2 {}", b"event e x 2 {}", b"\xff"])
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (any of them)
        Message.parse(payload)


@pytest.mark.parametrize(
    "control",
    [Control(), Control((SignOut("ada"), SignOut("bob", "session:1"))), Control(review=True), Control(resync=True)],
)
def test_what_is_said_to_every_instance_is_read_as_it_was_written(control: Control) -> None:
    assert Control.parse(control.dump()) == control


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"null", b'{"sign_outs":[1],"review":false,"resync":false}'])
def test_what_is_no_control_message_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (any of them)
        Control.parse(payload)


def test_only_the_next_number_of_the_same_epoch_follows() -> None:
    last = Position("a", 4)

    assert Position("a", 5).follows(last)
    for other in (Position("a", 4), Position("a", 6), Position("a", 1), Position("b", 5)):
        assert not other.follows(last)
