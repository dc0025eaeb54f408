"""What the server puts into the `state` of an ASGI scope, by the names under which the edges look for it."""

from __future__ import annotations

ABORT = "plinth.abort"  # drops the connection, so that no client takes a part of an answer for the whole
WIRE = "plinth.wire"  # the connection of a WebSocket: `app.sockets.wire.Wire`
