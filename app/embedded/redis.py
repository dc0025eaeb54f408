"""A real Redis as a child process, on a port of the loopback interface."""

from __future__ import annotations

import secrets
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as NotConnected

from app.embedded.binaries import redis_program
from app.embedded.child import Launch
from app.embedded.errors import DidNotStart, FolderUnusable
from app.embedded.folder import Folder
from app.embedded.server import Server

DATABASES = 256


@dataclass(kw_only=True)
class RedisServer(Server):
    """A running Redis; its password is new with every object, as without one any local user could use it."""

    name: ClassVar[str] = "Redis"

    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def url(self) -> str:
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        return f"redis://:{self.password}@{self.host}:{self.port}/{database}"

    async def stop(self) -> None:
        """Stop, and wait until no process is left; a durable server saves first."""
        await self._end(signal.SIGTERM)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def _prepare(self, folder: Folder) -> None:
        try:
            self.data_dir.mkdir(mode=0o700, exist_ok=True)
            folder.give(self.data_dir)
        except OSError as error:
            raise FolderUnusable(f"{error.strerror}: {error.filename}") from error

    async def _open(self, folder: Folder) -> None:
        """Start without the dump where it is broken: what Redis keeps may be lost, the start may not."""
        self._write_config(folder)
        dump = self.data_dir / "dump.rdb"
        try:
            await self._launch(folder)
        except DidNotStart:
            if not dump.exists():
                raise
            dump.replace(dump.with_suffix(".broken"))
            await self._launch(folder)

    @property
    def _config(self) -> Path:
        return self.data_dir / "redis.conf"

    def _write_config(self, folder: Folder) -> None:
        """Options in a file, since every user can read a command line, and this one has the password."""
        save = "60 1" if self.durable else '""'
        options = f'dir "{self.data_dir}"\nsave {save}\nappendonly no\ndatabases {DATABASES}\n'
        self._config.touch(mode=0o600)
        self._config.write_text(f"bind {self.host}\nport {self.port}\nrequirepass {self.password}\n{options}")
        folder.give(self._config)

    def _launch_spec(self) -> Launch:
        return Launch((str(redis_program()), str(self._config)), self.log_path, signal.SIGTERM)

    async def _answers(self) -> bool:
        try:
            async with Redis.from_url(self.url, retry=None) as client:
                await client.ping()
        except (NotConnected, BusyLoadingError):
            return False
        return True


async def start_redis(data_dir: Path, *, port: int = 0, durable: bool = True) -> RedisServer:
    """Start a server in `data_dir`, made where it is missing. Port 0 takes any free one.

    Raises EmbeddedError with the reason.
    """
    server = RedisServer(data_dir=data_dir, port=port, durable=durable)
    await server.start()
    return server
