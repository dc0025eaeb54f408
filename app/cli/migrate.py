"""`app migrate`: bring the schema up or down, say where it stands, write and check revisions."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import re
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from sqlalchemy import MetaData

from app.core.database import DatabaseUnavailable, UnsupportedServer, metadata
from app.core.exit_codes import ExitCode
from app.core.migrations import MIGRATIONS, Fit, MigrationError, Report, migrate_down, migrate_up, schema_report
from app.core.migrations.invalid import remedy
from app.core.settings import Environment, Settings
from app.core.telemetry import ROOT, configure_logging, parse_levels, secrets_of
from app.terminal.context import CliContext, pass_context

if TYPE_CHECKING:  # Alembic would come along
    from app.core.migrations.runner import Outcome

T = TypeVar("T")

# `-1` is a revision here, not an option.
RELATIVE = {"ignore_unknown_options": True}


@click.group()
def migrate() -> None:
    """The schema of the database: where it stands, and the way up and down.

    Revisions are files in migrations/versions. Each runs in a transaction of its own; any number of
    migrators may run at once, one works and the others wait. See docs/migrations.md.
    """


@migrate.command(context_settings=RELATIVE)
@click.argument("revision", default="head")
@pass_context
def up(context: CliContext, revision: str) -> None:
    """Apply what is pending.

    REVISION is where to stop: a number, +N or head (the default). Safe to repeat, and to run again after it
    was broken off.
    """
    settings = _prepared(context)
    outcome = _run(migrate_up(settings.database, revision))
    click.echo(_summary("applied", outcome))


@migrate.command(context_settings=RELATIVE)
@click.argument("revision", default="-1")
@click.option("--yes", is_flag=True, help="Needed in production: undoing a revision drops what it made, data included.")
@pass_context
def down(context: CliContext, revision: str, *, yes: bool) -> None:
    """Undo revisions.

    REVISION is where to stop, and stays applied itself: a number, -N (-1 by default) or base.
    """
    settings = _prepared(context)
    if settings.environment is Environment.PRODUCTION and not yes:
        _fail(
            "This is production, and undoing a revision drops its tables with their data: say --yes.",
            ExitCode.BAD_SETTINGS,
        )
    outcome = _run(migrate_down(settings.database, revision))
    click.echo(_summary("undone", outcome))


@migrate.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a machine.")
@pass_context
def status(context: CliContext, *, as_json: bool) -> None:
    """Show which revisions are applied.

    Exits with 0 when the schema is what this code expects, with 4 when it is behind or ahead.
    """
    report = _run(schema_report(_prepared(context).database))
    click.echo(json.dumps(report.as_dict(), indent=2) if as_json else "\n".join(_lines(report)))
    sys.exit(ExitCode.OK if report.state.fit is Fit.CURRENT else ExitCode.WRONG_SCHEMA)


@migrate.command()
@click.argument("message")
@click.option("--empty", is_flag=True, help="Do not compare with the models; needs no database.")
@pass_context
def new(context: CliContext, message: str, *, empty: bool) -> None:
    """Write the next revision file.

    It is named after MESSAGE and filled with what the models have and the other revisions do not make, found
    in a scratch database. That is a draft: read it, say why in its comments, and hold it against the models
    with `app migrate check`.
    """
    if not re.search(r"\w", message):
        raise click.BadParameter("say in a few words what the revision changes: they become the name of its file")
    from app.core.migrations import writing

    settings = _prepared(context, logging.WARNING)
    if empty:
        file = _explained(lambda: writing.write_empty(message, MIGRATIONS))
    else:
        file = _run(writing.write_from_models(settings.database, _models(), message, MIGRATIONS))
    click.echo(f"Wrote {file}")


@migrate.command()
@pass_context
def check(context: CliContext) -> None:
    """Compare the revisions with the models.

    Both schemas are made for real in scratch databases, and PostgreSQL describes them. That sees what Alembic's
    own check passes over: values of an enum, server defaults, predicates of partial indexes, CHECK constraints,
    triggers. Exits with 4 when there is any difference.
    """
    from app.core.migrations import drift

    differences = _run(drift.find_drift(_prepared(context, logging.WARNING).database, _models(), MIGRATIONS))
    if differences:
        _fail("\n".join(["The migrations and the models differ:", *differences]), ExitCode.WRONG_SCHEMA)
    click.echo("The migrations make exactly what the models say.")


def _prepared(context: CliContext, level: int | None = None) -> Settings:
    """Settings and logs; `level` keeps the steps of a scratch database out of sight."""
    settings = context.load_settings()
    levels = {ROOT: level} if level else parse_levels(settings.log.level)
    configure_logging(levels, json=settings.log.json, secrets=secrets_of(settings))
    return settings


def _models() -> MetaData:
    # Importing the features fills the metadata; it brings the web framework along, which `up` has no use for.
    importlib.import_module("app.bootstrap")
    return metadata


def _run(work: Coroutine[Any, Any, T]) -> T:
    return _explained(lambda: asyncio.run(work))


def _explained(work: Callable[[], T]) -> T:
    try:
        return work()
    except MigrationError as error:
        _fail(str(error), error.exit_code)
    except DatabaseUnavailable as error:
        _fail(str(error), ExitCode.SERVICE_UNAVAILABLE)
    except UnsupportedServer as error:
        _fail(str(error), ExitCode.WRONG_SCHEMA)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)


def _summary(done: str, outcome: Outcome) -> str:
    where = f"The schema is at revision {outcome.current or 'none'}"
    if not outcome.ran:
        return f"{where}: nothing to do."
    count = f"{len(outcome.ran)} revision{'s' if len(outcome.ran) > 1 else ''}"
    return f"{where}: {count} {done} in {outcome.seconds:.2f} s."


def _lines(report: Report) -> Iterator[str]:
    for revision in report.history.revisions:
        yield f"{revision.id}  {'applied' if revision.id in report.applied else 'pending'}  {revision.title}"
    for index, table in report.invalid.items():
        yield remedy(index, table)
    yield report.state.sentence
