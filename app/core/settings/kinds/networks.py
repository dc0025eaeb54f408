"""Lists of IP networks, as a firewall names them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_interface, ip_network

from app.core.settings.faults import Rejected, quote

from .lists import ListKind

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Networks(ListKind[Network]):
    """Networks in CIDR notation; an address alone is a network of one."""

    @property
    def accepts(self) -> str:
        return "networks such as 10.0.0.0/8 or fd00::/8, as 'a,b' or as JSON"

    def item(self, text: str) -> Network:
        try:
            return ip_network(text)
        except ValueError:
            raise Rejected(f"{quote(text)} is not a network", _of_address(text)) from None


def _of_address(text: str) -> str:
    """The network that was probably meant by an address inside it, such as 10.0.0.1/8."""
    try:
        return str(ip_interface(text).network)
    except ValueError:
        return ""
