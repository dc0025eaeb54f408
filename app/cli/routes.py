"""`app routes`: every address the service answers and what holds there, without opening anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from app.terminal.context import CliContext, pass_context
from app.terminal.table import table

if TYPE_CHECKING:
    from app.web.url_map import Route


@click.command()
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of columns.")
@pass_context
def routes(context: CliContext, machine: bool) -> None:
    """List every route: who may call it, how often, how long it may take, how much it reads.

    PERMISSION is what an API key has to have been given; a route for those who have signed in that
    asks for none is for people only. What a route leaves to the settings is shown as they have it.
    Every GET answers HEAD, and every address OPTIONS. Of a WEBSOCKET the limits and the time are those
    of its handshake, and BODY is the largest message of a client.
    """
    settings = context.load_settings()

    from app.cli import make_application
    from app.web.url_map import routes_of

    found = [_row(route) for route in routes_of(make_application(settings), settings)]
    if machine:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(table([name.upper() for name in found[0]], [list(map(_cell, row.values())) for row in found]))


def _row(route: Route) -> dict[str, Any]:
    """Seconds and bytes; the limits as a person reads them."""
    return {
        "path": route.path,
        "methods": ["WEBSOCKET"] if route.websocket else list(route.methods),
        "audience": _audience(route),
        "permission": route.endpoint.policy.permission,
        "limits": list(map(str, route.in_force.limits)),
        "timeout": route.in_force.timeout,
        "body": route.in_force.body,
        "idempotency": bool(route.idempotent),
        "handler": route.name,
    }


def _audience(route: Route) -> str:
    audience = route.endpoint.policy.audience
    if audience != "socket":
        return str(audience)
    return f"{audience} ({'anybody' if route.in_force.anonymous else 'signed in'})"


def _cell(value: Any) -> str:  # noqa: ANN401  (a cell of any column)
    match value:
        case bool() | None:
            return "yes" if value else "-"
        case list():
            return ", ".join(value) or "-"
        case float():
            return f"{value:g} s"
        case _:
            return str(value)
