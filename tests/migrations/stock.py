"""Alembic as `alembic init --template async` sets it up: what the runner is measured against."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

ENV = """
import asyncio, os
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

def run(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = create_async_engine(os.environ["URL"].replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()

asyncio.run(main())
"""

REVISION = """
from alembic import op

revision = "1"
down_revision = None

def upgrade():
    for statement in {statements!r}:
        op.execute(statement)
"""


def write_project(folder: Path, *statements: str) -> None:
    """A project with one revision."""
    (folder / "stock" / "versions").mkdir(parents=True)
    (folder / "stock" / "env.py").write_text(ENV)
    (folder / "stock" / "versions" / "1.py").write_text(REVISION.format(statements=statements))
    (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {folder / 'stock'}\n")


async def upgrade(folder: Path, url: str) -> tuple[int, str]:
    """`alembic upgrade head` in a process of its own: its exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "alembic", "-c", str(folder / "alembic.ini"), "upgrade", "head"),
        env={"PATH": os.environ["PATH"], "URL": url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()
