"""`app routes` and the program's own help, as a newcomer meets them."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from app.cli import COMMANDS, cli
from app.core.exit_codes import ExitCode
from app.web import PUBLIC, SOCKET, Limit
from app.web.url_map import in_force
from tests.harness.settings import TestSettings


def test_every_address_is_listed_with_what_holds_there() -> None:
    result = CliRunner().invoke(cli, ["routes"])

    head, *lines = (re.split(r"  +", line) for line in result.output.splitlines())
    assert result.exit_code == 0
    assert head == ["PATH", "METHODS", "AUDIENCE", "PERMISSION", "LIMITS", "TIMEOUT", "BODY", "IDEMPOTENCY", "HANDLER"]
    assert ["/health/ready", "GET", "public", "-", "-", "5 s", "0", "-", "health.ready"] in lines
    assert ["/metrics", "GET", "operations", "-", "-", "5 s", "0", "-", "metrics.scrape"] in lines
    assert lines == sorted(lines)


def test_programs_get_json() -> None:
    rows = json.loads(CliRunner().invoke(cli, ["routes", "--json"]).stdout)

    (login,) = [row for row in rows if row["path"] == "/web/login"]
    assert login == {
        "path": "/web/login",
        "methods": ["GET"],
        "audience": "public",
        "permission": None,
        "limits": [],
        "timeout": 5.0,
        "body": 0,
        "idempotency": False,
        "handler": "welcome.login",
    }


def test_what_a_policy_leaves_open_is_shown_as_the_settings_have_it(settings: TestSettings) -> None:
    def of(*overrides: str) -> tuple[object, ...]:
        found = in_force(PUBLIC, settings("server.request_timeout=7", "server.body_limit=5", *overrides))
        return found.limits, found.timeout, found.body

    assert of() == ((), 7.0, 5)
    assert of("rate_limit.per_minute=60") == ((Limit(60, 60),), 7.0, 5)
    assert of("rate_limit.per_minute=60", "rate_limit.enabled=false") == ((), 7.0, 5)


@pytest.mark.parametrize(("anonymous", "who"), [("false", "socket (signed in)"), ("true", "socket (anybody)")])
def test_a_websocket_is_listed_with_who_may_open_it(anonymous: str, who: str) -> None:
    result = CliRunner().invoke(cli, ["routes"], env={"APP_WEBSOCKET__ANONYMOUS": anonymous})

    lines = [re.split(r"  +", line) for line in result.output.splitlines()]
    row = ["/ws", "WEBSOCKET", who, "realtime:connect", "600/min by address", "30 s", "65536", "-", "realtime.socket"]
    assert row in lines


def test_a_websocket_is_shown_with_the_settings_of_websockets(settings: TestSettings) -> None:
    def of(*overrides: str) -> tuple[object, ...]:
        found = in_force(SOCKET.but(timeout=3.0), settings("websocket.message_limit=512", *overrides), websocket=True)
        return found.limits, found.timeout, found.body, found.anonymous

    assert of() == ((Limit(600, 60),), 3.0, 512, False)
    assert of("websocket.anonymous=true") == ((Limit(600, 60),), 3.0, 512, True)


def test_a_policy_decides_over_the_settings(settings: TestSettings) -> None:
    policy = PUBLIC.but(limits=(Limit(5, 1),), timeout=2.0, body=9)

    found = in_force(policy, settings("rate_limit.per_minute=60"))

    assert (found.limits, found.timeout, found.body) == ((Limit(5, 1),), 2.0, 9)


def test_help_names_every_command_and_every_exit_code() -> None:
    text = CliRunner().invoke(cli, ["--help"]).output

    assert all(f"\n  {command} " in text for command in COMMANDS)
    assert all(f"\n    {code.value} " in text for code in ExitCode)


def test_every_command_explains_itself() -> None:
    for command in COMMANDS:
        result = CliRunner().invoke(cli, [command, "--help"])

        assert result.exit_code == 0, result.output
        assert len(result.output.splitlines()) > 5, command


def test_an_unknown_command_is_bad_usage() -> None:
    result = CliRunner().invoke(cli, ["sevre"])

    assert result.exit_code == ExitCode.BAD_SETTINGS
    assert "No such command 'sevre'" in result.output
