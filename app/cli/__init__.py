"""The `app` program: one entry for every role, each command in a module of its own."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

import click

from app.core.exit_codes import ExitCode
from app.terminal.context import CliContext

if TYPE_CHECKING:
    from app.core.settings import Settings
    from app.web import Application


class LazyGroup(click.Group):
    """Import a command only when it is called, so that `app health` never pays for Alembic."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *_of_features(), *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = f"app.cli.{cmd_name}:{cmd_name}" if cmd_name in COMMANDS else _of_features().get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


def _of_features() -> dict[str, str]:
    """Imported only for a word that is none of the house's own, and for the list of all."""
    from app.bootstrap import FEATURES

    return {name: place for feature in FEATURES for name, place in feature.commands.items()}


# In the order in which a newcomer meets them.
COMMANDS = (
    "dev",
    "serve",
    "worker",
    "migrate",
    "config",
    "routes",
    "openapi",
    "errors",
    "publish",
    "tasks",
    "outbox",
    "health",
    "doctor",
)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one setting, e.g. --set database.pool_max=20. May be given several times.",
)
@click.version_option(package_name="plinth", prog_name="app")
@click.pass_context
def cli(ctx: click.Context, overrides: tuple[str, ...]) -> None:
    """Plinth: one program for every role of the service.

    \b
    Exit codes:
      0    done
      1    an error that nobody expected, health or doctor found something, or what was named was refused
      2    bad settings or usage
      3    a service did not answer in time
      4    the schema does not fit this code
      5    the port is taken
      130  ended at once by a second signal
    """  # noqa: D301  (the escape is click's mark for lines to be left as they are)
    ctx.obj = CliContext(overrides, make_application)


def make_application(settings: Settings) -> Application:
    """With every feature, and nothing opened."""
    from app.bootstrap import FEATURES
    from app.core.lifecycle import Lifecycle
    from app.server import create_app

    return create_app(settings, FEATURES, lifecycle=Lifecycle())


def main() -> None:
    """The console script `app`."""
    try:
        cli(prog_name="app")
    except KeyboardInterrupt:
        sys.exit(ExitCode.FORCED)
