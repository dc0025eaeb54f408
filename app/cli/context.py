"""What every command is given: the options of the program itself, and the settings they lead to."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import click

from app.core.exit_codes import ExitCode
from app.core.settings import Settings, SettingsError, load_settings


@dataclass(frozen=True)
class CliContext:
    """The `--set KEY=VALUE` options, strongest of all layers."""

    overrides: tuple[str, ...] = ()

    def load_settings(self, *more: str) -> Settings:
        """Read the settings, with `more` overrides on top; on faults print them all and exit 2."""
        try:
            return load_settings(overrides=(*self.overrides, *more))
        except SettingsError as faults:
            click.echo(str(faults), err=True)
            sys.exit(ExitCode.BAD_SETTINGS)


pass_context = click.make_pass_decorator(CliContext)
