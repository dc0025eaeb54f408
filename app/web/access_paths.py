"""An address as the access log writes it, where no route has matched."""

from __future__ import annotations

import re

LONGEST_PATH = 200  # characters
# What was meant for a header and stands in the address by mistake: a key, a token, what a mail brought. A UUID has 36.
CREDENTIAL = re.compile(rb"[A-Za-z0-9_.~+=-]{40,}")


def path_of(raw: bytes) -> str:
    """The address as it came, without its query, a whole URL's password, and what may be a credential."""
    path = raw if raw.startswith(b"/") else raw.rpartition(b"@")[2]
    path = CREDENTIAL.sub(b"***", path)
    return ascii(path[:LONGEST_PATH].decode("latin1"))[1:-1][:LONGEST_PATH]
