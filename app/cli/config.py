"""`app config`: what is set, where it came from, and whether it is sound."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from app.core.exit_codes import ExitCode
from app.core.settings import PROJECT_ROOT
from app.core.settings.documents import env_example, with_generated
from app.core.settings.show import as_json, as_text, rows
from app.terminal.context import CliContext, pass_context


@click.group()
def config() -> None:
    """Show and check the settings."""


@config.command()
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of columns.")
@pass_context
def show(context: CliContext, machine: bool) -> None:
    """Print every effective value and the layer it came from; secrets are masked."""
    settings = context.load_settings()
    click.echo(json.dumps(as_json(settings), indent=2) if machine else as_text(settings))


@config.command()
@pass_context
def check(context: CliContext) -> None:
    """Say whether the settings are sound: exit 0, or 2 with every fault."""
    settings = context.load_settings()
    given = sum(row.layer != "default" for row in rows(settings))
    click.echo(f"The settings for {settings.environment} are sound; {given} of them are not left to their default.")
    for notice in settings.notices:
        click.echo(notice, err=True)


@config.command()
@click.option("--write", is_flag=True, help="Write the files; without it, only say whether they have drifted.")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), default=PROJECT_ROOT, hidden=True)
def docs(write: bool, root: Path) -> None:
    """Generate .env.example and the tables of docs/configuration.md from the declarations.

    Exits 1 when they have drifted and --write is not given.
    """
    drifted = {path: text for path, text in generated_files(root).items() if not _holds(path, text)}
    for path, text in drifted.items():
        if write:
            path.write_text(text, "utf-8")
        click.echo(f"{path.relative_to(root)} {'is written' if write else 'has drifted from the declarations'}.")
    sys.exit(ExitCode.UNEXPECTED if drifted and not write else ExitCode.OK)


def generated_files(root: Path) -> dict[Path, str]:
    """What the generated files should hold."""
    page = root / "docs" / "configuration.md"
    if not page.is_file():
        raise click.UsageError(f"{page} is not there; this command is for a checkout of the source.")
    return {root / ".env.example": env_example(), page: with_generated(page.read_text("utf-8"))}


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text("utf-8") == text
