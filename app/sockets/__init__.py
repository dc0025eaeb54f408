"""The WebSocket edge: what a connection is, who hears what, and how it crosses instances."""

from app.sockets.hub import Hub, hub, open_hub
from app.sockets.patterns import Topics, WrongTopics
from app.sockets.topics import Asked, Rule, Topic, admins, anybody, nobody, signed_in

__all__ = [
    "Asked",
    "Hub",
    "Rule",
    "Topic",
    "Topics",
    "WrongTopics",
    "admins",
    "anybody",
    "hub",
    "nobody",
    "open_hub",
    "signed_in",
]
