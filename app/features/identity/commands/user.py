"""`app user`: people, made, listed and changed without signing in."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import UUID

import click

from app.terminal.context import CliContext, pass_context
from app.terminal.operating import Id, ago, echo_json, echo_page, line_of, on_database, on_resources

if TYPE_CHECKING:
    from datetime import datetime

    from app.core.database import Database
    from app.core.resources import Resources
    from app.features.identity.models import User
    from app.features.identity.service.users import UserChange

HEAD = ("ID", "EMAIL", "ROLE", "STATE", "2ND FACTOR", "CREATED", "NAME")
ROLES = ("admin", "user")

email_argument = click.argument("email", metavar="EMAIL")
password_option = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from the first line of standard input."
)


@click.group()
def user() -> None:
    """Users: who may sign in, and as what.

    A user who is made here needs no mail to verify the address. Everything done here is recorded as an event.
    """


@user.command()
@email_argument
@click.option("--name", required=True, help="How the user is called.")
@click.option("--admin", is_flag=True, help="As an administrator.")
@password_option
@click.option("--json", "machine", is_flag=True, help="Print the user as JSON, with the password where it is made up.")
@pass_context
def create(context: CliContext, email: str, name: str, admin: bool, from_stdin: bool, machine: bool) -> None:
    """Make a user.

    Without --password-stdin a password is made up, which is then all of standard output. Exits 1 where the address
    is taken, or the password too weak.
    """
    from app.features.identity.models import Role
    from app.features.identity.service import users

    if not 0 < len(name) <= 255:
        raise click.BadParameter("1 to 255 characters.", param_hint="--name")
    password, told = _password(from_stdin=from_stdin)
    role = Role.ADMIN if admin else Role.USER

    async def work(resources: Resources) -> User:
        return await users.create_user(resources, email=email, name=name, password=password, role=role)

    made = on_resources(context, work)
    if machine:
        echo_json({**vars(made), **({"password": told} if told else {})})
        return
    click.echo(f"{made.email} is a user now, with the role {made.role}.", err=True)
    _tell(told)


@user.command(name="list")
@click.option("--email", "prefix", default="", metavar="PREFIX", help="Only those whose address begins like this.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", type=Id("user"), metavar="ID", help="Go on behind this one: next_cursor of the list before.")
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of columns.")
@pass_context
def list_(context: CliContext, prefix: str, limit: int, cursor: UUID | None, machine: bool) -> None:
    """List users, newest first."""
    from app.features.identity.service import users

    async def work(db: Database) -> list[User]:
        return await users.list_users(db, prefix=prefix, before=cursor or users.NEWEST, limit=limit + 1)

    found = on_database(context, work)
    echo_page(found, limit, head=HEAD, cells=_cells, machine=machine)


@user.command()
@email_argument
@pass_context
def show(context: CliContext, email: str) -> None:
    """Show one user, as JSON. Exits 1 where there is none."""
    from app.features.identity.service import users

    async def work(db: Database) -> User:
        return await users.find_user(db, email)

    echo_json(on_database(context, work))


@user.command()
@email_argument
@pass_context
def activate(context: CliContext, email: str) -> None:
    """Let a user sign in again."""
    from app.features.identity.service.users import UserChange

    _change(context, email, UserChange(is_active=True))


@user.command()
@email_argument
@pass_context
def deactivate(context: CliContext, email: str) -> None:
    """Keep a user out, and end all that they have signed in with, sockets included.

    Exits 1 for the last administrator.
    """
    from app.features.identity.service.users import UserChange

    _change(context, email, UserChange(is_active=False))


@user.command()
@email_argument
@click.argument("role", type=click.Choice(ROLES))
@pass_context
def role(context: CliContext, email: str, role: str) -> None:
    """Give a user another role. Exits 1 for the last administrator."""
    from app.features.identity.models import Role
    from app.features.identity.service.users import UserChange

    _change(context, email, UserChange(role=Role(role)))


@user.command()
@email_argument
@password_option
@pass_context
def password(context: CliContext, email: str, from_stdin: bool) -> None:
    """Set a new password, and end all that the user has signed in with.

    Without --password-stdin one is made up, which is then all of standard output. The second factor stays.
    """
    from app.features.identity.service import users

    text, told = _password(from_stdin=from_stdin)

    async def work(resources: Resources, found: User) -> None:
        await users.set_password(resources, found, text)

    _do(context, email, work, "has a new password.")
    _tell(told)


@user.command(name="second-factor-off")
@email_argument
@pass_context
def second_factor_off(context: CliContext, email: str) -> None:
    """Remove the second factor of a user who has lost it, with the recovery codes.

    Make sure who asks for it. Exits 1 where there is none.
    """
    from app.features.identity.service import enrolment

    async def work(resources: Resources, found: User) -> None:
        await enrolment.switch_off(resources, found.id)

    _do(context, email, work, "has no second factor any more.")


def _change(context: CliContext, email: str, change: UserChange) -> None:
    from app.features.identity.service import users

    async def work(resources: Resources, found: User) -> None:
        await users.change_user(resources, found.id, change, by=None)

    told = f"has the role {change.role}" if change.role else f"is {'active' if change.is_active else 'deactivated'}"
    _do(context, email, work, f"{told} now.")


def _do(context: CliContext, email: str, work: Callable[[Resources, User], Awaitable[None]], told: str) -> None:
    """With the user of the address; exits 1 where there is none."""
    from app.features.identity.service import users

    async def with_user(resources: Resources) -> str:
        found = await users.find_user(resources.database, email)
        await work(resources, found)
        return found.email

    click.echo(f"{on_resources(context, with_user)} {told}", err=True)


def _password(*, from_stdin: bool) -> tuple[str, str]:
    """The password, and what of it is to be told. Never an argument: those are in the list of processes."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n"), ""
    from app.features.identity.passwords import new_password

    made = new_password()
    return made, made


def _tell(password: str) -> None:
    if password:
        click.echo("The password, which is not shown again:", err=True)
        click.echo(password)


def _cells(each: User, now: datetime) -> list[str]:
    state = "active" if each.is_active else "deactivated"
    factor = "yes" if each.second_factor else "no"
    return [str(each.id), line_of(each.email), each.role, state, factor, ago(each.created_at, now), line_of(each.name)]
