"""What the Docker client says: each question put once, its answers read into small frozen things."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from app.doctor.once import Once
from app.doctor.shell import NotInstalled, Said, run

PROJECT = "com.docker.compose.project"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what compose means by no address


class State(Enum):
    """Whether there is an engine to talk to."""

    NO_CLIENT = "no client"
    NOT_RUNNING = "not running"
    DENIED = "denied"
    SILENT = "silent"
    BROKEN = "broken"
    ANSWERS = "answers"


@dataclass(frozen=True)
class Engine:
    """`said` is the client's own complaint; `version` the engine's."""

    state: State
    said: str = ""
    version: str = ""

    @property
    def answers(self) -> bool:
        return self.state is State.ANSWERS


@dataclass(frozen=True)
class Container:
    """One running container: whose it is, and which ports of this machine lead to it."""

    name: str
    project: str
    ports: frozenset[int]


@dataclass(frozen=True)
class Published:
    """A port of this machine that the stack wants, and the service's own port behind it."""

    service: str
    host: str
    port: int
    target: int


@dataclass(frozen=True)
class Mount:
    """Where a service has a volume."""

    service: str
    image: str
    environment: Mapping[str, str]
    source: str
    target: str


@dataclass(frozen=True)
class Stack:
    """compose.yaml with its overrides and variables filled in; `volumes` maps their names there to the engine's."""

    name: str
    published: tuple[Published, ...]
    mounts: tuple[Mount, ...]
    volumes: Mapping[str, str]


class Docker:
    """Asks in the project's folder, with the environment of the person who asks."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self._root = root
        self._environ = {**environ, "DOCKER_CLI_HINTS": "false"}
        self.engine = Once(self._engine)
        self.compose = Once(self._compose)
        self.stack = Once(self._stack)
        self.containers = Once(self._containers)

    async def ask(self, *arguments: str) -> Said:
        """Raises `NotInstalled`."""
        return await run("docker", *arguments, environ=self._environ, folder=self._root)

    async def _engine(self) -> Engine:
        try:
            said = await self.ask("version", "--format", "{{.Server.Version}}")
        except NotInstalled:
            return Engine(State.NO_CLIENT)
        return Engine(State.ANSWERS, version=said.out) if said.fine else Engine(_why(said), said.reason)

    async def _compose(self) -> Said | None:
        try:
            return await self.ask("compose", "version", "--short")
        except NotInstalled:
            return None

    async def _stack(self) -> Stack | Said | None:
        """The stack, or what was wrong with its file; None where there is nobody to read it."""
        version = await self.compose()
        if version is None or not version.fine or not (self._root / "compose.yaml").exists():
            return None
        said = await self.ask("compose", "--profile", "*", "config", "--format", "json")
        return _stack(json.loads(said.out)) if said.fine else said

    async def _containers(self) -> tuple[Container, ...]:
        """Those that run; empty without an engine."""
        if not (await self.engine()).answers:
            return ()
        said = await self.ask("ps", "--no-trunc", "--format", "{{json .}}")
        return tuple(_container(json.loads(line)) for line in said.out.splitlines()) if said.fine else ()


def _why(said: Said) -> State:
    if said.code is None:
        return State.SILENT
    complaint = said.reason.lower()
    if "permission denied while trying to connect" in complaint:
        return State.DENIED
    # The second sentence is that of clients from 29 on.
    if "is the docker daemon running" in complaint or "daemon is running" in complaint:
        return State.NOT_RUNNING
    return State.BROKEN


def _stack(config: dict[str, Any]) -> Stack:
    services: dict[str, Any] = config.get("services") or {}
    volumes = {key: str(volume.get("name", key)) for key, volume in (config.get("volumes") or {}).items()}
    return Stack(str(config.get("name", "")), tuple(_published(services)), tuple(_mounts(services)), volumes)


def _published(services: Mapping[str, Any]) -> Iterator[Published]:
    for name, service in services.items():
        for port in service.get("ports") or ():
            number = str(port.get("published") or "")
            if number.isdigit() and int(number) and port.get("protocol") == "tcp":
                yield Published(name, port.get("host_ip") or EVERYWHERE, int(number), int(port["target"]))


def _mounts(services: Mapping[str, Any]) -> Iterator[Mount]:
    for name, service in services.items():
        image, environment = str(service.get("image", "")), service.get("environment") or {}
        for volume in service.get("volumes") or ():
            yield Mount(name, image, environment, str(volume.get("source", "")), str(volume.get("target", "")))


def _container(row: Mapping[str, str]) -> Container:
    labels = dict(label.partition("=")[::2] for label in row.get("Labels", "").split(","))
    return Container(row["Names"], labels.get(PROJECT, ""), frozenset(_host_ports(row.get("Ports", ""))))


def _host_ports(ports: str) -> Iterator[int]:
    """From `0.0.0.0:8000->8000/tcp, [::]:8000->8000/tcp, 0.0.0.0:7000-7001->7000-7001/tcp, 6379/tcp`."""
    for port in ports.split(", "):
        outside, arrow, _ = port.partition("->")
        if arrow:
            first, _, last = outside.rpartition(":")[2].partition("-")
            yield from range(int(first), int(last or first) + 1)
