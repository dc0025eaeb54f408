"""Every statement of the application, held against the migrated schema: none reaches production with a wrong column."""

from __future__ import annotations

import importlib
import pkgutil

import app
from app.core.database import Database, check_statement, statements

# These run things when imported as a program.
PROGRAMS = {"app.__main__", "app.embedded.keeper"}


def import_everything() -> None:
    """A statement registers itself when its module is imported."""
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name not in PROGRAMS:
            importlib.import_module(module.name)


async def test_every_statement_fits_the_migrated_schema(db: Database) -> None:
    import_everything()

    async with db.connection() as connection:
        faults = [fault for each in statements() for fault in await check_statement(connection.raw_connection, each)]

    assert statements(), "nothing was checked"
    assert faults == []
