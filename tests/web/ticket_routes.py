"""The sockets of all audiences, for the real process; it brings its own `/ws` and tickets."""

from __future__ import annotations

from app.feature import Feature
from tests.harness import signed_tokens
from tests.web import socket_routes

feature = Feature(
    "sockets_with_tickets",
    socket_routes.feature.routes,
    authenticate=signed_tokens.authenticate,
    review=signed_tokens.review,
)
