"""Lets a route be reached by the audience it declares, and by nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from quart import Request, request

from app.core.errors import Forbidden, Unauthorized
from app.core.settings.kinds import Network
from app.web.application import resources
from app.web.callers import Authenticator, Caller
from app.web.endpoint import Endpoint
from app.web.exchange import exchange_of
from app.web.policy import Audience


class Audiences:
    """The gate that asks who calls, once, and remembers it for the handler, the limits and the log."""

    def __init__(self, authenticate: Authenticator | None, *, operations: Sequence[Network]) -> None:
        """Without a feature that authenticates, whoever has to sign in is told 401."""
        self.authenticate = authenticate
        self.operations = tuple(operations)

    async def __call__(self, incoming: Request, endpoint: Endpoint) -> None:
        """Raises `Unauthorized` and `Forbidden`."""
        match endpoint.policy.audience:
            case Audience.PUBLIC:
                return
            case Audience.OPERATIONS:
                self._admit_network(incoming)
            case audience:
                await self._admit_caller(incoming, audience)

    def _admit_network(self, incoming: Request) -> None:
        client = exchange_of(incoming.scope).client
        try:
            address = ip_address(client)
        except ValueError:  # a Unix socket: whoever may open it is on this machine
            address = None
        if address is not None and not any(address in network for network in self.operations):
            raise Forbidden("This is answered to the networks in telemetry.networks only.")

    async def _admit_caller(self, incoming: Request, audience: Audience) -> None:
        caller = await self.authenticate(incoming, resources()) if self.authenticate else None
        if caller is None:
            raise Unauthorized
        exchange_of(incoming.scope).caller = caller
        if audience is Audience.ADMIN and not caller.is_admin:
            raise Forbidden


def current_caller() -> Caller:
    """Who sent the request being handled. Raises `Unauthorized` on a route that is public."""
    caller = exchange_of(request.scope).caller
    if caller is None:
        raise Unauthorized
    return caller
