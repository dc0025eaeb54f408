"""Ports that somebody else may hold already: the server's own, and those that the containers publish."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from app.core.settings.sections import Server
from app.doctor.docker import Container, Published, Stack
from app.doctor.finding import Finding, failed, ok, skipped, warning
from app.doctor.listeners import Listener, listeners
from app.doctor.once import in_thread
from app.doctor.patient import Patient
from app.doctor.ports import Bind, is_plinth, next_free, try_bind
from app.doctor.shell import Said
from app.doctor.words import listed


async def server_port(patient: Patient) -> Finding:
    """Binding is the only honest question; /proc then tells who was first."""
    if patient.settings is None:
        return skipped("server-port", "the settings have faults")
    server = patient.settings.server
    if server.port == 0:
        return skipped("server-port", "server.port is 0: any free port")
    bind = await in_thread(lambda: try_bind(server.host, server.port))
    if bind is Bind.FREE:
        return ok("server-port", f"{server.host}:{server.port} is free")
    return await _taken(patient, server) if bind is Bind.TAKEN else _unusable(patient, server, bind)


async def _taken(patient: Patient, server: Server) -> Finding:
    who = await holder(patient, server.port)
    if await in_thread(lambda: is_plinth(server.host, server.port)):
        return ok("server-port", f"our own server answers on {server.host}:{server.port}: {who.name}")
    other = await in_thread(lambda: next_free(server.host, server.port))
    return failed(
        "server-port",
        f"{server.host}:{server.port} is taken by {who.name}",
        who.end,
        f"APP_SERVER__PORT={other} {patient.start}   # or leave it, and take another port",
    )


def _unusable(patient: Patient, server: Server, bind: Bind) -> Finding:
    if bind is Bind.PRIVILEGED:
        seen = f"this user may not listen on port {server.port}: ports this low are root's"
        return failed("server-port", seen, f"APP_SERVER__PORT=8000 {patient.start}")
    seen = f"server.host is {server.host}, which is not an address of this machine"
    return failed("server-port", seen, f"APP_SERVER__HOST=127.0.0.1 {patient.start}")


class Holder:
    """Who holds a port, and the command that makes them let go."""

    def __init__(self, port: int, found: Sequence[Listener], containers: Sequence[Container]) -> None:
        container = next((each for each in containers if port in each.ports), None)
        pids = [str(each.pid) for each in found if each.pid is not None]
        self.container = container
        if container:
            self.name, self.end = f"container {container.name}", f"docker stop {container.name}"
        elif pids:
            self.name, self.end = " and ".join(map(str, found)), f"kill {' '.join(pids)}"
        else:
            self.name = str(found[0]) if found else "a process that can't be seen from here"
            self.end = f"sudo ss -ltnp 'sport = :{port}'   # names it"


async def holder(patient: Patient, port: int) -> Holder:
    """A container's port is held by Docker's proxy, or by nobody that /proc shows."""
    containers = await patient.docker.containers()
    return Holder(port, await in_thread(lambda: listeners(port)), containers)


async def compose_ports(patient: Patient) -> Finding:
    """Only a warning: `make run` takes free ports for its services."""
    stack = await patient.docker.stack()
    if stack is None:
        return skipped("compose-ports", "there is no compose v2 to read compose.yaml")
    if isinstance(stack, Said):
        return warning("compose-ports", f"compose.yaml can't be read: {stack.reason}", "docker compose config --quiet")
    taken = [(port, who) for port in stack.published if (who := await _holder_of(patient, stack, port))]
    if not taken:
        return ok("compose-ports", f"free or our own: {', '.join(str(port.port) for port in stack.published)}")
    told = [f"{port.port} ({port.service}) is taken by {who.name}" for port, who in taken]
    remedy = await in_thread(lambda: _elsewhere(patient.root, [port for port, _ in taken]))
    return warning("compose-ports", f"make up would fail: {listed(told)}", remedy)


async def _holder_of(patient: Patient, stack: Stack, wanted: Published) -> Holder | None:
    if await in_thread(lambda: try_bind(wanted.host, wanted.port)) is not Bind.TAKEN:
        return None
    who = await holder(patient, wanted.port)
    return None if who.container and who.container.project == stack.name else who


def _elsewhere(root: Path, taken: Sequence[Published]) -> str:
    """The variables of compose.yaml that move these ports: `${POSTGRES_PORT:-5432}:5432` names one."""
    text = (root / "compose.yaml").read_text(encoding="utf-8")
    names = {int(target): name for name, target in re.findall(r"\$\{(\w+):?-\d+\}:(\d+)", text)}
    moved = [f"{names[port.target]}={next_free(port.host, port.port)}" for port in taken if port.target in names]
    return " ".join([*moved, "make up"]) if moved else "docker compose config   # where the port comes from"
