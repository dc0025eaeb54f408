"""Who really called: forwarded addresses are believed from proxies that are known, and from nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope

from app.core.settings.kinds import Network
from app.web.exchange import exchange_of

FORWARDED_FOR = b"x-forwarded-for"
FORWARDED_PROTO = b"x-forwarded-proto"
# The last two are what some proxies say of a handshake.
SCHEMES = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}
FOR_WEBSOCKETS = {"http": "ws", "https": "wss"}

Address = IPv4Address | IPv6Address


class TrustedProxies:
    """Sets the client's address and the scheme from `X-Forwarded-For` and `X-Forwarded-Proto`.

    Read from the right, as proxies append: the first address that is not a trusted proxy is the client. What is not
    an address ends the walk. `X-Forwarded-Host` and `Forwarded` are never read.
    """

    def __init__(self, app: ASGIFramework, *, networks: Sequence[Network]) -> None:
        self.app = app
        self.networks = tuple(networks)

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "lifespan" and self.networks and self._trusted(_address(_peer(scope))):
            exchange = exchange_of(scope)
            headers = scope["headers"]
            exchange.client = self._client(_values(headers, FORWARDED_FOR), exchange.client)
            protos = _values(headers, FORWARDED_PROTO)
            exchange.scheme = SCHEMES.get(protos[-1].lower(), exchange.scheme) if protos else exchange.scheme
            scope = self._rewritten(scope, exchange.client, exchange.scheme)
        await self.app(scope, receive, send)

    def _client(self, hops: list[bytes], peer: str) -> str:
        client = peer
        for hop in reversed(hops):
            address = _address(hop.decode("latin1"))
            if address is None:
                break
            client = str(address)
            if not self._trusted(address):
                break
        return client

    def _trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self.networks)

    def _rewritten(self, scope: Scope, client: str, scheme: str) -> Scope:
        """A shallow copy: the server goes on using its own scope."""
        if scope["type"] == "websocket":
            scheme = FOR_WEBSOCKETS.get(scheme, scheme)
        return {**scope, "client": (client, 0), "scheme": scheme}  # type: ignore[return-value]  # the same kind of scope


def _peer(scope: Scope) -> str:
    client = None if scope["type"] == "lifespan" else scope.get("client")
    return client[0] if client else ""


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # An IPv4 client of a socket that listens on IPv6, too.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _values(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    """The values of a list header, of all its lines, in order."""
    joined = b",".join(value for header, value in headers if header == name)
    return [part.strip() for part in joined.split(b",")] if joined else []
