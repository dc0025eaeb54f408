"""What the operators' commands share: what is open for one command, ids, JSON, and words for times."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn, Protocol, TypeVar
from uuid import UUID

import asyncpg
import click

from app.core.clock import SystemClock
from app.core.database import ConnectionTrouble, Database, DatabaseUnavailable, UnsupportedServer, open_database
from app.core.errors import AppError, ValidationFailed
from app.core.exit_codes import ExitCode
from app.core.json import dumps
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.core.settings.sections import Database as DatabaseSettings
from app.core.telemetry import ROOT, configure_logging, secrets_of
from app.terminal.context import CliContext
from app.terminal.table import table

T = TypeVar("T")


class HasId(Protocol):
    """What a list can go on behind."""

    @property
    def id(self) -> UUID: ...


Row = TypeVar("Row", bound=HasId)

PATIENCE = 5.0  # seconds; a person waits no longer for a database that does not answer
LONG = 60.0  # seconds; counting millions takes longer than a request may
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# Behind what is read aloud: an error's text is data, and may hold what moves a terminal's cursor.
UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


class Id(click.ParamType[UUID]):
    """The id of a task or an event."""

    def __init__(self, thing: str) -> None:
        self.name = "id"
        self.thing = thing

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> UUID:  # noqa: ANN401  (click's own)
        if isinstance(value, UUID):
            return value
        try:
            return UUID(value)
        except ValueError:
            self.fail(f"{value!r} is no {self.thing} id: it is a UUID, as lists show it.", param, ctx)


class Age(click.ParamType[timedelta]):
    """A duration as a person types it."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401  (click's own)
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,6})([smhdw])", value)
        if not found:
            self.fail(f"{value!r} is no age: a number and one of s, m, h, d, w, such as 12h or 7d.", param, ctx)
        return timedelta(seconds=int(found[1]) * UNITS[found[2]])


def on_database(context: CliContext, work: Callable[[Database], Awaitable[T]], *, about: UUID | None = None) -> T:
    """Do `work` on the database of the settings; where it can't be done, say why and exit; `about` was named."""
    settings = _quiet_settings(context)
    with _sentences(about):
        return asyncio.run(_with_database(settings, work))


def on_resources(context: CliContext, work: Callable[[Resources], Awaitable[T]], *, about: object = None) -> T:
    """The same with all that a feature's use cases need. Redis may be down: what is told through it is not told then.

    Nothing is migrated, and no trace is sent.
    """
    settings = _quiet_settings(context)
    with _sentences(about):
        return asyncio.run(_with_resources(settings, work))


def _told(error: AppError, about: object) -> Iterator[str]:
    """Of values that are wrong, a line for each; it begins with their name."""
    if isinstance(error, ValidationFailed) and error.details:
        yield from (f"{field} {said}" for field, found in error.details.items() for said in found)
        return
    yield error.message if about is None else f"{about}: {error.message}"


def _quiet_settings(context: CliContext) -> Settings:
    settings = context.load_settings()
    configure_logging({ROOT: logging.CRITICAL}, json=settings.log.json, secrets=secrets_of(settings))
    return settings


@contextmanager
def _sentences(about: object) -> Iterator[None]:
    """One sentence and an exit code for all that an operator can do something about."""
    try:
        yield
    except AppError as error:
        fail("\n".join(_told(error, about)), ExitCode.UNEXPECTED)
    except DatabaseUnavailable as error:
        fail(str(error), ExitCode.SERVICE_UNAVAILABLE)
    except ConnectionTrouble as error:
        fail(f"The database did not answer: {error}", ExitCode.SERVICE_UNAVAILABLE)
    except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError) as error:
        fail(f"The database was too busy: {error}. Try again.", ExitCode.SERVICE_UNAVAILABLE)
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
        fail(f"The schema does not fit this code: {error}. See `app migrate status`.", ExitCode.WRONG_SCHEMA)
    except UnsupportedServer as error:
        fail(str(error), ExitCode.WRONG_SCHEMA)


async def _with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """One connection, at once or not at all."""
    async with open_database(_for_one(settings.database, most=1), application_name="plinth operator") as db:
        return await work(db)


async def _with_resources(settings: Settings, work: Callable[[Resources], Awaitable[T]]) -> T:
    """A few connections: the probes ask beside the work."""
    database = replace(_for_one(settings.database, most=3), migrate_at_start=False)
    telemetry = replace(settings.telemetry, otlp_endpoint="")
    settings = replace(settings, database=database, telemetry=telemetry)
    async with open_resources(settings, Lifecycle()) as resources:
        return await work(resources)


def _for_one(database: DatabaseSettings, *, most: int) -> DatabaseSettings:
    """A person waits for less than a server to connect, and for more once it works."""
    return replace(
        database,
        pool_min=1,
        pool_max=most,
        start_timeout=min(database.start_timeout, PATIENCE),
        command_timeout=max(database.command_timeout, LONG),
        statement_timeout=max(database.statement_timeout, LONG),
    )


def fail(message: str, code: ExitCode) -> NoReturn:
    click.echo(printable(message), err=True)
    sys.exit(code)


def echo_json(value: object) -> None:
    """As the admin API answers, in lines."""
    click.echo(json.dumps(json.loads(dumps(value)), indent=2))


def printable(text: str) -> str:
    """The text without what a terminal would obey; its lines stay."""
    return "".join(each if each.isprintable() or each == "\n" else UNPRINTABLE for each in text.expandtabs(4))


def line_of(text: str | None) -> str:
    """One line for a cell."""
    return printable(text or "-").replace("\n", " ")


def cut_to_terminal(text: str, *, column: int) -> str:
    """What fits behind `column` on the screen; where there is none, all of it."""
    room = max(16, shutil.get_terminal_size().columns - column)
    return text if len(text) <= room or not sys.stdout.isatty() else f"{text[: room - 3]}..."


def span(seconds: float) -> str:
    """A duration in one number."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def ago(moment: datetime, now: datetime) -> str:
    """How far `moment` is from `now`, on either side."""
    seconds = (now - moment).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def echo_page(
    found: Sequence[Row], limit: int, *, head: Sequence[str], cells: Callable[[Row, datetime], list[str]], machine: bool
) -> None:
    """The first `limit` of what was found, as JSON or as a table, and how to go on where there is one more."""
    items, more = found[:limit], len(found) > limit
    if machine:
        echo_json({"items": items, "next_cursor": items[-1].id if more else None})
        return
    now = SystemClock().now()
    click.echo(table(head, [cells(each, now) for each in items]))
    if more:
        click.echo(f"There are more: --cursor {items[-1].id}", err=True)


def moment_text(moment: datetime | None, now: datetime) -> str:
    return f"{moment.isoformat(timespec='milliseconds')} ({ago(moment, now)})" if moment else "-"
