"""Whom an address of the network belongs to, as far as one can tell: what is counted is counted by it."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address

# The least that a provider gives one customer (RFC 6177): whoever has it has 2^64 addresses.
IPV6_CUSTOMER = 64


@lru_cache(maxsize=1024)  # who asks once asks again, and reading an address is the dearest part of counting here
def customer(client: str) -> str:
    """What one customer is counted by: an IPv4 address, or the network of an IPv6 address."""
    try:
        address = ip_address(client)
    except ValueError:  # a Unix socket: all who may open it together
        return client
    if not isinstance(address, IPv6Address):
        return client
    if address.ipv4_mapped:  # an IPv4 client of a socket that listens on IPv6, too
        return str(address.ipv4_mapped)
    return str(IPv6Network((int(address), IPV6_CUSTOMER), strict=False))
