"""`app api-key`: the keys of machines, made, listed, handed over and revoked without signing in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, cast
from uuid import UUID

import click

from app.terminal.context import CliContext, pass_context
from app.terminal.operating import Age, Id, ago, echo_json, echo_page, line_of, on_database, on_resources

if TYPE_CHECKING:
    from datetime import datetime

    from app.core.database import Database
    from app.core.resources import Resources
    from app.features.identity.service.keys import MadeKey, NewKey, OwnedKey

KEY_ID = Id("key")
HEAD = ("ID", "BEGINS WITH", "OWNER", "PERMISSIONS", "STATE", "LAST USED", "NAME")
DAY = timedelta(days=1)


@click.group(name="api-key")
def api_key() -> None:
    """API keys: what machines call this service with.

    A key belongs to a user, opens what it was given (`app routes` lists the permissions) as far as that user may
    do it, and is shown once, when it is made.
    """


@api_key.command()
@click.option("--user", "email", metavar="EMAIL", required=True, help="Whose key it is.")
@click.option("--name", required=True, help="What it is for.")
@click.option("--permission", "permissions", metavar="NAME", multiple=True, help="What it opens; several times.")
@click.option(
    "--expires-in", "life", type=Age(), help="When it ends by itself: 12h, 90d, 52w; else when it is revoked."
)
@click.option("--json", "machine", is_flag=True, help="Print JSON, with what the key is.")
@pass_context
def create(
    context: CliContext, email: str, name: str, permissions: Sequence[str], life: timedelta | None, machine: bool
) -> None:
    """Make a key, and print it.

    Nothing but the key is on standard output. Exits 1 where there is no such user, or a permission is none that this
    user may give.
    """
    from app.features.identity.permissions import offered_by
    from app.features.identity.service import keys

    if life is not None and life > keys.LONGEST_LIFE:
        raise click.BadParameter("ten years at most.", param_hint="--expires-in")
    assert context.application is not None  # noqa: S101  (app.cli hands it in)
    offered = offered_by(context.application(context.load_settings()))

    async def work(resources: Resources) -> MadeKey:
        owner = await keys.user_of_email(resources.database, email)
        expires_at = resources.clock.now() + life if life is not None else None
        asked = _checked(name, permissions, expires_at)
        return await keys.create_key(resources, owner, asked, offered=offered, by=None)

    _show(on_resources(context, work), machine=machine)


@api_key.command(name="list")
@click.option("--user", "email", metavar="EMAIL", help="Only those of this user.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", type=KEY_ID, metavar="ID", help="Go on behind this one: next_cursor of the list before.")
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of columns.")
@pass_context
def list_(context: CliContext, email: str | None, limit: int, cursor: UUID | None, machine: bool) -> None:
    """List keys, newest first, those that are over, too.

    The keys themselves are not stored, so nobody can list them.
    """
    from app.features.identity.service import keys

    async def work(db: Database) -> list[OwnedKey]:
        return await keys.list_owned_keys(db, email=email, before=cursor or keys.NEWEST, limit=limit + 1)

    found = on_database(context, work)
    echo_page(found, limit, head=HEAD, cells=_cells, machine=machine)


@api_key.command()
@click.argument("key_id", metavar="ID", type=KEY_ID)
@click.option("--overlap", type=Age(), default="1d", show_default=True, help="How long both hold: 0s, 12h, 7d.")
@click.option("--json", "machine", is_flag=True, help="Print JSON, with what the key is.")
@pass_context
def rotate(context: CliContext, key_id: UUID, overlap: timedelta, machine: bool) -> None:
    """Make the successor of a key, and print it.

    It may do the same, and lasts as long. Exits 1 where the key is over, or was rotated already.
    """
    from app.features.identity.service import keys

    async def work(resources: Resources) -> MadeKey:
        owner = await keys.owner_of(resources.database, key_id)
        return await keys.rotate_key(resources, owner, key_id, overlap=overlap.total_seconds(), by=None)

    if overlap > 30 * DAY:
        raise click.BadParameter("30 days at most.", param_hint="--overlap")
    _show(on_resources(context, work, about=key_id), machine=machine)


@api_key.command()
@click.argument("key_id", metavar="ID", type=KEY_ID)
@pass_context
def revoke(context: CliContext, key_id: UUID) -> None:
    """Revoke a key, at once and for good; its sockets are closed.

    Exits 1 where there is no such key.
    """
    from app.features.identity.service import keys

    async def work(resources: Resources) -> None:
        owner = await keys.owner_of(resources.database, key_id)
        await keys.revoke_key(resources, owner, key_id, by=None)

    on_resources(context, work, about=key_id)
    click.echo(f"{key_id} is revoked.", err=True)


def _checked(name: str, permissions: Sequence[str], expires_at: datetime | None) -> NewKey:
    """Held to the bounds that the API has. Raises `ValidationFailed`."""
    from app.features.identity.service.keys import NewKey
    from app.web.conversion import record
    from app.web.faults import Faults

    ends = expires_at.isoformat() if expires_at else None
    faults = Faults()
    asked = record(NewKey, lax=False)({"name": name, "permissions": [*permissions], "expires_at": ends}, "", faults)
    if faults.found:
        raise faults.error
    return cast("NewKey", asked)


def _show(made: MadeKey, *, machine: bool) -> None:
    if machine:
        echo_json({**vars(made.fact), "key": made.text})
        return
    click.echo("Keep it now; it is not shown again:", err=True)
    click.echo(made.text)


def _cells(key: OwnedKey, now: datetime) -> list[str]:
    used = ago(key.last_used_at, now) if key.last_used_at else "never"
    permissions = line_of(", ".join(key.permissions))
    return [str(key.id), line_of(key.prefix), key.owner, permissions, _state(key, now), used, line_of(key.name)]


def _state(key: OwnedKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {ago(key.revoked_at, now)}"
    if key.expires_at is None:
        return "holds"
    return f"{'expired' if key.expires_at <= now else 'ends'} {ago(key.expires_at, now)}"
