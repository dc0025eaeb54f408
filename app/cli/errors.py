"""`app errors`: every code that a client may be given."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from app.core.error_catalogue import entries, with_generated
from app.core.exit_codes import ExitCode
from app.core.settings import PROJECT_ROOT
from app.terminal.table import table


@click.command()
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of columns.")
@click.option("--write", is_flag=True, help="Write the table of docs/http.md.")
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), default=PROJECT_ROOT, hidden=True)
def errors(machine: bool, write: bool, root: Path) -> None:
    """List every error a client can be given: status, code and sentence.

    The same list stands in docs/http.md and in the OpenAPI document. Exits 1 when the page has drifted
    and --write is not given.
    """
    if machine:
        click.echo(json.dumps([asdict(each) for each in entries()], indent=2))
    else:
        rows = [(str(each.status), each.code, each.sentence) for each in entries()]
        click.echo(table(("STATUS", "CODE", "SENTENCE"), rows))
    sys.exit(_hold(root / "docs" / "http.md", write=write))


def _hold(page: Path, *, write: bool) -> ExitCode:
    """Only a checkout of the source has the page, an image does not."""
    if not page.is_file():
        if write:
            raise click.UsageError(f"{page} is not there; --write is for a checkout of the source.")
        return ExitCode.OK
    text = page.read_text("utf-8")
    expected = with_generated(text)
    if text == expected:
        return ExitCode.OK
    if write:
        page.write_text(expected, "utf-8")
    click.echo(f"docs/{page.name} {'is written' if write else 'has drifted from app/core/errors.py'}.", err=True)
    return ExitCode.OK if write else ExitCode.UNEXPECTED
