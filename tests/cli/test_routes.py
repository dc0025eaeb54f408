"""`app routes` and the program's own help, as a newcomer meets them."""

from __future__ import annotations

from click.testing import CliRunner

from app.cli import COMMANDS, cli
from app.core.exit_codes import ExitCode


def test_every_address_is_listed_with_its_methods_and_handler() -> None:
    result = CliRunner().invoke(cli, ["routes"])

    assert result.exit_code == 0
    listed = [line.split() for line in result.output.splitlines()]
    assert ["/health/ready", "GET,", "HEAD,", "OPTIONS", "health.ready"] in listed
    assert ["/web/login", "GET,", "HEAD,", "OPTIONS", "welcome.login"] in listed
    assert listed == sorted(listed)


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
