"""Pushing to people, from any process: the message goes through Redis to every instance that holds their sockets."""
