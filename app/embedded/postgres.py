"""A real PostgreSQL 18 as a child process, on a port of the loopback interface."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import asyncpg

from app.embedded.binaries import postgres_program
from app.embedded.child import Launch
from app.embedded.cluster import ensure_cluster, mend_login
from app.embedded.folder import Folder
from app.embedded.server import Server

# What tests can do without: safety in a crash of the machine, and everything that runs in the background.
NOT_DURABLE = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_wal_size=256MB",
    "dynamic_shared_memory_type=mmap",  # in the data folder, so that a killed server leaves nothing elsewhere
)


class Stop(Enum):
    """How to end the server, in PostgreSQL's own words."""

    SMART = signal.SIGTERM  # wait for clients to leave
    FAST = signal.SIGINT  # cut clients off, write everything
    IMMEDIATE = signal.SIGQUIT  # as in a crash: the next start recovers


@dataclass(kw_only=True)
class PostgresServer(Server):
    """A running PostgreSQL, with `user` as its superuser."""

    name: ClassVar[str] = "PostgreSQL"

    user: str
    password: str = field(repr=False)
    database: str
    max_connections: int

    @property
    def url(self) -> str:
        return self.url_of(self.database)

    def url_of(self, database: str) -> str:
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"postgresql://{login}@{self.host}:{self.port}/{quote(database, safe='')}"

    async def stop(self, mode: Stop | None = None) -> None:
        """Stop, and wait until no process is left. Without durability there is nothing worth writing."""
        await self._end(mode.value if mode else self._launch_spec().stop_signal)

    async def restart(self, mode: Stop = Stop.FAST) -> None:
        await self.stop(mode)
        await self.start()

    async def _prepare(self, folder: Folder) -> None:
        await ensure_cluster(folder, user=self.user, password=self.password, durable=self.durable)
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)  # stale: the folder's lock is ours

    async def _open(self, folder: Folder) -> None:
        await self._launch(folder)
        try:
            await self._ensure_database()
        except asyncpg.InvalidPasswordError:
            await self.stop(Stop.FAST)
            await mend_login(folder, user=self.user, password=self.password)
            await self._launch(folder)
            await self._ensure_database()

    def _launch_spec(self) -> Launch:
        options = [
            f"listen_addresses={self.host}",
            f"port={self.port}",
            "unix_socket_directories=",  # one way in; and a socket's path has a length limit to run into
            f"max_connections={self.max_connections}",
            "timezone=UTC",
            "log_timezone=UTC",
            *(() if self.durable else NOT_DURABLE),
        ]
        flags = [part for option in options for part in ("-c", option)]
        command = (str(postgres_program("postgres")), "-D", str(self.data_dir), *flags)
        return Launch(command, self.log_path, (Stop.FAST if self.durable else Stop.IMMEDIATE).value)

    async def _answers(self) -> bool:
        """The postmaster writes its state into the eighth line of its pid file."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.url_of("postgres"), ssl=False)
        try:
            known = "SELECT true FROM pg_database WHERE datname = $1"
            if not await connection.fetchval(known, self.database):
                await connection.execute('CREATE DATABASE "{}"'.format(self.database.replace('"', '""')))
        finally:
            await connection.close()


async def start_postgres(
    data_dir: Path,
    *,
    port: int = 0,
    user: str,
    password: str,
    database: str,
    durable: bool = True,
    max_connections: int = 200,
) -> PostgresServer:
    """Start a server in `data_dir`, made where it is missing, with `database` and a `user` who may do everything.

    Port 0 takes any free one. `durable=False` trades safety in a crash of the machine for speed: tests only.
    Raises EmbeddedError with the reason.
    """
    server = PostgresServer(
        data_dir=data_dir,
        port=port,
        user=user,
        password=password,
        database=database,
        durable=durable,
        max_connections=max_connections,
    )
    await server.start()
    return server
