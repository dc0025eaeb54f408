"""Variables under our names that other programs set: they are left alone, and that is reported.

Kubernetes puts links to every service into every container, so that a service called `db` sets DB_PORT to
`tcp://10.0.0.7:5432`. Some shells and compilers export HOST as the name of the machine.
"""

from __future__ import annotations

import re

from .kinds.text import is_address

LINK = re.compile(r"(tcp|udp|sctp)://\S+")
LINK_NAME = re.compile(
    r"[A-Z0-9]+(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)


def foreign(name: str, text: str) -> str:
    """Why the variable is none of ours, as the end of a sentence; empty when it may be ours."""
    if "__" in name:
        return ""
    if LINK_NAME.fullmatch(name) or (name.endswith("_PORT") and LINK.fullmatch(text)):
        return "it is the link that Kubernetes makes for a service of that name"
    if name == "HOST" and not (is_address(text) or text == "localhost"):
        return "shells set HOST to the name of the machine, so only an address counts here; or use SERVER_HOST"
    return ""
