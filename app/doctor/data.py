"""Whose data lie behind the database's address: those of `make run`, those of the stack, or a stranger's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from app.doctor.docker import Stack
from app.doctor.embedded import DATA, embedded_port
from app.doctor.patient import Patient

LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
WITHIN = "/var/lib/postgresql"


class Kind(Enum):
    """How the data are kept."""

    FOLDER = "folder"
    VOLUME = "volume"


@dataclass(frozen=True)
class Data:
    """Our own data, and when they were made."""

    kind: Kind
    name: str
    made: datetime


async def data_behind(patient: Patient) -> Data | None:
    """None for a stranger's."""
    assert patient.settings is not None  # noqa: S101 - asked by checks that have looked
    database = patient.settings.database
    if database.host not in LOCAL:
        return None
    if embedded_port(patient.root) == database.port:
        made = (patient.root / DATA / "PG_VERSION").stat().st_mtime
        return Data(Kind.FOLDER, str(DATA), datetime.fromtimestamp(made, UTC))
    return await _volume(patient, database.port)


async def _volume(patient: Patient, port: int) -> Data | None:
    stack = await patient.docker.stack()
    if not isinstance(stack, Stack):
        return None
    ours = {port for each in await patient.docker.containers() if each.project == stack.name for port in each.ports}
    mounts = [mount for mount in stack.mounts if mount.target.startswith(WITHIN) and mount.source in stack.volumes]
    if port not in ours or not mounts:
        return None
    name = stack.volumes[mounts[0].source]
    said = await patient.docker.ask("volume", "inspect", "--format", "{{.CreatedAt}}", name)
    return Data(Kind.VOLUME, f"the volume {name}", datetime.fromisoformat(said.out)) if said.fine else None
