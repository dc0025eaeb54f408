"""The WebSocket edge: what a connection is, who hears what, and how it crosses instances."""

from app.sockets.topics import Asked, Rule, Topic, admins, anybody, nobody, signed_in

__all__ = ["Asked", "Rule", "Topic", "admins", "anybody", "nobody", "signed_in"]
