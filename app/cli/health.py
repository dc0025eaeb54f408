"""`app health`: ask a running server or worker how it is; the image's health check, without curl or a shell."""

from __future__ import annotations

import json
import sys
from http.client import HTTPException
from typing import NoReturn
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import click

from app.core.address import http_url
from app.core.exit_codes import ExitCode
from app.terminal.context import CliContext, pass_context

# A proxy variable of the shell or the image must not send a loopback question elsewhere.
DIRECT = build_opener(ProxyHandler({}))
FOREIGN = "an answer that is not Plinth's"


@click.command()
@click.option("--live", "path", flag_value="/health/live", help="Ask only whether the process answers.")
@click.option("--ready", "path", flag_value="/health/ready", default=True, help="Ask whether it takes work (default).")
@click.option("--worker", is_flag=True, help="Ask the worker on server.host, at worker.port.")
@click.option("--url", help="Base URL of the server; by default where server.host and server.port say.")
@click.option("--timeout", default=3.0, show_default=True, help="Seconds to wait for the answer.")
@pass_context
def health(context: CliContext, path: str, worker: bool, url: str | None, timeout: float) -> None:
    """Exit 0 if the server answers well, 1 with the reason if not."""
    base = url or _local_url(context, worker=worker)
    try:
        with DIRECT.open(base.rstrip("/") + path, timeout=timeout) as answer:
            status = _status(answer.read())
    except HTTPError as refused:
        _fail(f"{base}{path}: {refused.code} {_status(refused.read()) or FOREIGN}")
    except (URLError, OSError, HTTPException, ValueError) as error:
        _fail(f"{base}{path}: no answer ({getattr(error, 'reason', error)})")
    # 200 is not enough: another program on the port would be healthy too.
    if status is None:
        _fail(f"{base}{path}: {FOREIGN}")
    click.echo(f"{base}{path}: {status}")


def _local_url(context: CliContext, *, worker: bool) -> str:
    settings = context.load_settings()
    return http_url(settings.server.host, settings.worker.port if worker else settings.server.port)


def _status(body: bytes) -> str | None:
    """The status and the reasons of what fails; None for an answer that is not Plinth's."""
    try:
        answer = json.loads(body)
        failed = {name: check["reason"] for name, check in answer.get("checks", {}).items() if not check["ok"]}
        status = str(answer["status"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    return f"{status} ({reasons})" if reasons else status


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(ExitCode.UNEXPECTED)
