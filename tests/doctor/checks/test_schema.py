"""The schema of a real database, moved behind and ahead of the code."""

from __future__ import annotations

import pytest

from app.core.database import Database
from app.core.migrations import expected_revision
from app.doctor import Status
from app.doctor.checks.schema import schema
from tests.doctor.project import Project
from tests.harness.settings import TestSettings


@pytest.fixture
def project(project: Project, settings: TestSettings) -> Project:
    project.use(settings)
    return project


async def test_schema_as_expected(project: Project) -> None:
    finding = await project.finding(schema)

    assert finding.status is Status.OK
    assert f"at revision {expected_revision()}" in finding.seen


async def test_schema_behind_names_both_revisions(project: Project, db: Database) -> None:
    await db.execute("UPDATE alembic_version SET version_num = '0001'")

    finding = await project.finding(schema)

    assert finding.status is Status.FAILED
    assert f"expected revision {expected_revision()}, found 0001" in finding.seen
    assert finding.remedy == "app migrate up"


async def test_schema_behind_is_a_warning_where_the_start_migrates(project: Project, db: Database) -> None:
    await db.execute("DROP TABLE alembic_version")

    finding = await project.finding(schema, "database.migrate_at_start=true")

    assert finding.status is Status.WARNING
    assert "found none" in finding.seen


async def test_schema_ahead_wants_newer_code(project: Project, db: Database) -> None:
    await db.execute("UPDATE alembic_version SET version_num = '9999'")

    finding = await project.finding(schema)

    assert finding.status is Status.FAILED
    assert "at revision 9999" in finding.seen
    assert finding.remedy.startswith("git pull")
    assert "deletes" not in finding.remedy  # these data are not the doctor's to give away
