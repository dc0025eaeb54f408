"""`app doctor`: what stands in the way here, and what to type about it."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time

import click

from app.core.exit_codes import ExitCode
from app.terminal.context import CliContext, pass_context


@click.command()
@click.option("--json", "json", is_flag=True, help="Print the findings as JSON, for programs and bug reports.")
@pass_context
def doctor(context: CliContext, json: bool) -> None:
    """Look for what usually goes wrong, and say what to type about it.

    Looks at the settings, the files, the ports, the database, Redis and Docker; changes none of them.

    Exit 0 when nothing failed, 1 otherwise; a warning closes only one of the ways to run the service.

    Each check has its section in docs/troubleshooting.md.
    """
    from app.doctor import admit, as_json, as_text, examine, healthy

    began = time.monotonic()
    findings = asyncio.run(examine(admit(overrides=context.overrides)))
    seconds = time.monotonic() - began
    width = shutil.get_terminal_size().columns
    click.echo(as_json(findings, seconds=seconds) if json else as_text(findings, seconds=seconds, width=width))
    sys.exit(ExitCode.OK if healthy(findings) else ExitCode.UNEXPECTED)
