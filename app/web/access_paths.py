"""An address as the access log writes it, where no route has matched."""

from __future__ import annotations

LONGEST_PATH = 200  # characters


def path_of(raw: bytes) -> str:
    """The address as it came, without its query and without the password that a whole URL may hold."""
    path = raw if raw.startswith(b"/") else raw.rpartition(b"@")[2]
    return ascii(path[:LONGEST_PATH].decode("latin1"))[1:-1][:LONGEST_PATH]
