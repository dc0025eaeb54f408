"""Pushing to people, from any process: the message goes through Redis to every instance that holds their sockets."""

from app.core.realtime.messages import EVERYONE, Channels, Position, is_topic, user_topic
from app.core.realtime.publisher import Publisher, open_publisher

__all__ = ["EVERYONE", "Channels", "Position", "Publisher", "is_topic", "open_publisher", "user_topic"]
