"""What can stop a migration, each said so that the reader knows what to do next, with its exit code."""

from __future__ import annotations

from typing import ClassVar

from app.core.exit_codes import ExitCode


class MigrationError(Exception):
    """The migration did not finish; what was applied before is kept, and running it again goes on from there."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED


class HistoryError(MigrationError):
    """The revision files do not form one line."""

    exit_code = ExitCode.BAD_SETTINGS


class UnknownTarget(MigrationError):
    """There is no such revision to go to."""

    exit_code = ExitCode.BAD_SETTINGS


class DirectConnectionNeeded(MigrationError):
    """Session locks do not hold through a pooler in transaction mode."""

    exit_code = ExitCode.BAD_SETTINGS


class SchemaMismatch(MigrationError):
    """The database is at a revision that this code does not know."""

    exit_code = ExitCode.WRONG_SCHEMA


class InvalidIndexes(MigrationError):
    """An index that was built CONCURRENTLY was left half-built."""

    exit_code = ExitCode.WRONG_SCHEMA


class LockBusy(MigrationError):
    """A lock was held by somebody else for too long."""


class RevisionFailed(MigrationError):
    """A revision did not run to its end."""


class ScratchRefused(MigrationError):
    """A scratch database could not be made."""
