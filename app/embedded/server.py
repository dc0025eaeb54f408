"""What both servers share: a data folder, a port, a process, and how they start and stop."""

from __future__ import annotations

import asyncio
import signal
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from app.embedded.child import Child, Launch
from app.embedded.errors import DidNotStart, PortTaken, tail
from app.embedded.folder import Folder, claim
from app.embedded.ports import LOOPBACK, check_free, free_port

START_LIMIT = 60.0  # seconds; crash recovery of a small database takes one or two
START_POLL = 0.01
PORT_TRIES = 5


@dataclass(kw_only=True)
class Server(ABC):
    """A server that lives until stopped; as an async context manager, until the end of the block."""

    name: ClassVar[str]

    data_dir: Path
    port: int
    durable: bool
    host: str = LOOPBACK
    _child: Child | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.data_dir = self.data_dir.absolute()

    @property
    def log_path(self) -> Path:
        return self.data_dir / "server.log"

    @property
    def pid(self) -> int:
        """The process that was started; others may be its children."""
        if self._child is None:
            raise DidNotStart(self.name)
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and not self._child.ended

    async def start(self) -> None:
        """Start, or start again with the same port and data after a stop or a crash."""
        async with claim(self.data_dir) as folder:
            await self._prepare(folder)
            try:
                await self._start_on_port(folder)
            except BaseException:
                await self._end(signal.SIGKILL)
                raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @abstractmethod
    async def stop(self) -> None:
        """Stop, and wait until no process is left."""

    @abstractmethod
    async def _prepare(self, folder: Folder) -> None:
        """Make the data folder ready for a start."""

    @abstractmethod
    async def _open(self, folder: Folder) -> None:
        """Launch on the port and leave the server ready for use."""

    @abstractmethod
    def _launch_spec(self) -> Launch:
        """What to run."""

    @abstractmethod
    async def _answers(self) -> bool:
        """Whether the launched server takes connections by now."""

    async def _start_on_port(self, folder: Folder) -> None:
        """A free port may be lost to another program before the server has it; the given one is the only one."""
        wanted = self.port
        for tries_left in reversed(range(PORT_TRIES)):
            self.port = wanted or free_port()
            try:
                check_free(self.port)
                await self._open(folder)
                break
            except PortTaken:
                if wanted or not tries_left:
                    raise

    async def _launch(self, folder: Folder) -> None:
        before = self.log_path.stat().st_size if self.log_path.exists() else 0
        self._child = child = Child.start(self._launch_spec(), folder)
        deadline = time.monotonic() + START_LIMIT
        while not await self._answers():
            if child.ended or time.monotonic() > deadline:
                await self._end(signal.SIGKILL)
                raise self._why(tail(self.log_path, start=before))
            await asyncio.sleep(START_POLL)

    def _why(self, log: str) -> DidNotStart | PortTaken:
        return PortTaken(self.port) if "Address already in use" in log else DidNotStart(self.name, log=log)

    async def _end(self, number: signal.Signals) -> None:
        if self._child is not None:
            await self._child.stop(number)
            self._child = None
