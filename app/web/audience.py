"""Lets a route be reached by the audience it declares, and by nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from quart import Request, Websocket, has_websocket_context, request, websocket

from app.core.errors import Forbidden, Unauthorized
from app.core.settings.kinds import Network
from app.web.application import resources
from app.web.callers import Authenticator, Caller, Reviewer
from app.web.endpoint import Endpoint
from app.web.exchange import exchange_of
from app.web.policy import Audience, Policy
from app.web.tickets import PARAMETER, redeem_ticket


class KeyForbidden(Forbidden):
    """This is for people who have signed in; an API key does not open it."""


class IncompleteSignIn(Forbidden):
    """Add a second factor first; until then nothing else is open to you."""


class Audiences:
    """The gate that asks who calls, once, and remembers it for the handler, the limits and the log."""

    def __init__(
        self,
        authenticate: Authenticator | None,
        *,
        operations: Sequence[Network],
        review: Reviewer | None = None,
        anonymous: bool = False,
    ) -> None:
        """Without a feature that authenticates, whoever has to sign in is told 401.

        `review` says whether those who have a ticket are still signed in; `anonymous` opens the audience `socket` to
        anybody.
        """
        self.authenticate = authenticate
        self.operations = tuple(operations)
        self.review = review
        self.anonymous = anonymous

    async def __call__(self, incoming: Request | Websocket, endpoint: Endpoint) -> None:
        """Raises `Unauthorized` and `Forbidden`; for a ticket `RedisUnavailable`, too."""
        match endpoint.policy.audience:
            case Audience.PUBLIC:
                return
            case Audience.OPERATIONS:
                self._admit_network(incoming)
            case _:
                await self._admit_caller(incoming, endpoint.policy)

    def _admit_network(self, incoming: Request | Websocket) -> None:
        client = exchange_of(incoming.scope).client
        try:
            address = ip_address(client)
        except ValueError:  # a Unix socket: whoever may open it is on this machine
            address = None
        if address is not None and not any(address in network for network in self.operations):
            raise Forbidden("This is answered to the networks in telemetry.networks only.")

    async def _admit_caller(self, incoming: Request | Websocket, policy: Policy) -> None:
        caller = await self._caller(incoming)
        if caller is None:
            if policy.audience is Audience.SOCKET and self.anonymous:
                return
            raise Unauthorized
        exchange_of(incoming.scope).caller = caller
        if policy.audience is Audience.ADMIN and not caller.is_admin:
            raise Forbidden
        if not caller.has(policy.permission):
            raise KeyForbidden(f"This key lacks the permission {policy.permission}." if policy.permission else None)
        if not (caller.complete or policy.completing):
            raise IncompleteSignIn

    async def _caller(self, incoming: Request | Websocket) -> Caller | None:
        """Whom the credentials prove. A handshake with a ticket is its holder's, whatever else it carries."""
        if isinstance(incoming, Websocket) and PARAMETER in incoming.args:
            return await self._holder(incoming.args.getlist(PARAMETER))
        return await self.authenticate(incoming, resources()) if self.authenticate else None

    async def _holder(self, tickets: list[str]) -> Caller:
        if len(tickets) > 1:
            raise Unauthorized
        caller = await redeem_ticket(resources().redis, tickets[0])
        if caller.expires_at is not None and caller.expires_at <= resources().clock.now():
            raise Unauthorized
        if self.review and caller.credential and not await self.review([caller.credential], resources()):
            raise Unauthorized  # signed out since
        return caller


def find_caller() -> Caller | None:
    """Who sent the request or opened the socket being handled; None where nobody signed in, or nobody asked."""
    incoming: Request | Websocket = websocket if has_websocket_context() else request
    return exchange_of(incoming.scope).caller


def current_caller() -> Caller:
    """Who sent the request or opened the socket being handled. Raises `Unauthorized` on a route that is public."""
    caller = find_caller()
    if caller is None:
        raise Unauthorized
    return caller
