"""Settings that can't be read, and a shell that says something else than the files."""

from __future__ import annotations

from app.doctor import CHECKS, Status, examine, name_of
from app.doctor.checks.settings import overrides, settings
from tests.doctor.project import Project

SECRET = "a-secret-of-the-shell"


async def test_settings_that_can_be_read(project: Project) -> None:
    finding = await project.finding(settings)

    assert finding.status is Status.OK
    assert finding.seen.startswith("they can be read: development")


async def test_every_fault_is_told_and_the_other_checks_run_as_far_as_they_can(project: Project) -> None:
    project.write(".env", "APP_DATABASE__PROT=1\nAPP_SERVER__PORT=many\n")

    findings = {finding.check: finding for finding in await examine(project.patient())}

    assert findings["settings"].status is Status.FAILED
    assert "did you mean APP_DATABASE__PORT?" in findings["settings"].seen
    assert "server.port" in findings["settings"].seen
    assert findings["database"].seen == "the settings have faults"
    assert findings["line-endings"].status is Status.OK
    assert list(findings) == [name_of(check) for check in CHECKS]


async def test_variable_of_the_shell_that_overrides_a_file(project: Project) -> None:
    project.write(".env", "APP_SERVER__PORT=9000\nDB_PASSWORD=of-the-file\n")
    project.write("settings.local.toml", "[default.log]\nlevel = 'debug'\n")
    project.environ.update(SERVER_PORT="9001", DB_PASSWORD=SECRET, APP_LOG__LEVEL="info")

    finding = await project.finding(overrides)

    assert finding.status is Status.WARNING
    assert "SERVER_PORT overrides server.port from .env (APP_SERVER__PORT)" in finding.seen
    assert "APP_LOG__LEVEL overrides log.level from settings.local.toml" in finding.seen
    assert SECRET not in finding.seen
    assert finding.remedy == "unset APP_LOG__LEVEL DB_PASSWORD SERVER_PORT"


async def test_shell_that_agrees_with_the_files_is_no_trouble(project: Project) -> None:
    project.write(".env", "APP_SERVER__PORT=9000\n")
    project.environ.update(APP_SERVER__PORT="9000", APP_APP__NAME="other")

    assert (await project.finding(overrides)).status is Status.OK


async def test_environment_chosen_by_the_shell_is_told_too(project: Project) -> None:
    project.write(".env", "APP_ENV=development\n")
    project.environ["APP_ENV"] = "testing"

    finding = await project.finding(overrides)

    assert finding.remedy == "unset APP_ENV"
