"""`/api/v1/realtime/tickets`: what pages that sign in with a token open their socket with."""

from __future__ import annotations

from dataclasses import dataclass

from quart import Blueprint

from app.web import KIB, MINUTE, SIGNED_IN, By, Limit, current_caller, endpoint, resources
from app.web.tickets import issue_ticket

blueprint = Blueprint("tickets", __name__, url_prefix="/api/v1/realtime")

# Each new connection of each page needs one; a stored answer of an Idempotency-Key would hold one that is used.
POLICY = SIGNED_IN.but(
    limits=(Limit(120, MINUTE, By.CALLER),), permission="realtime:connect", body=KIB, idempotency=False
)


@dataclass(frozen=True)
class Ticket:
    """What opens one socket, once: `/ws?ticket=...`, within `expires_in` seconds."""

    ticket: str
    expires_in: float


@blueprint.post("/tickets")
@endpoint(POLICY, answers={201: Ticket})
async def ask_for_ticket() -> tuple[Ticket, int, dict[str, str]]:
    """Give a ticket for one socket.

    For pages that sign in with a token, as a browser's WebSocket can send no header: the ticket goes into its address.
    """
    lifetime = resources().settings.websocket.ticket_lifetime
    ticket = await issue_ticket(resources().redis, current_caller(), lifetime=lifetime)
    return Ticket(ticket, lifetime), 201, {"Cache-Control": "no-store"}
