"""Where a client on this machine reaches a server that listens on a given host."""

from __future__ import annotations

# Listening on every interface is not an address that can be called.
REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (compared, not bound)


def reachable(host: str) -> str:
    """The host to call: itself, or the loopback address of its kind."""
    return REACHED_AT.get(host, host)


def http_url(host: str, port: int) -> str:
    """The server's address as a person would type it."""
    called = reachable(host)
    return f"http://[{called}]:{port}" if ":" in called else f"http://{called}:{port}"
