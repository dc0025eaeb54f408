"""What every command is given: the options of the program itself, and the settings they lead to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from app.core.exit_codes import ExitCode
from app.core.settings import Override, Settings, SettingsError, load_settings

Command = TypeVar("Command", bound=Callable[..., None])


@dataclass(frozen=True)
class CliContext:
    """The `--set KEY=VALUE` options, strongest of all layers.

    `application` makes the one that serves, with the routes of every feature, and opens nothing. It is handed in, as
    the commands of features stand below the server.
    """

    overrides: tuple[str, ...] = ()
    application: Callable[[Settings], Any] | None = None

    def load_settings(self, *, port_of: str = "server", **server: object) -> Settings:
        """Read the settings; on faults print them all and exit 2.

        `server` is what `server_options` gave the command: keys of that section, None where not given. A worker's
        port belongs to a section of its own.
        """
        keys = {name: f"{port_of if name == 'port' else 'server'}.{name}" for name in server}
        named = (Override.of(f"--{key}", keys[key], value) for key, value in server.items() if value is not None)
        try:
            return load_settings(overrides=(*self.overrides, *named))
        except SettingsError as faults:
            click.echo(str(faults), err=True)
            sys.exit(ExitCode.BAD_SETTINGS)


def server_options(command: Command) -> Command:
    """`--host` and `--port`, the same for every command that serves."""
    command = click.option("--port", type=int, help="Port to listen on, 0 for any free one (server.port).")(command)
    return click.option("--host", help="Address to listen on (server.host).")(command)


def worker_options(command: Command) -> Command:
    """The same for a worker, which listens to tell how it is."""
    command = click.option("--port", type=int, help="Port for health and metrics, 0 for any free one (worker.port).")(
        command
    )
    return click.option("--host", help="Address to listen on (server.host).")(command)


pass_context = click.make_pass_decorator(CliContext)
