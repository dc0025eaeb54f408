"""Where the data of PostgreSQL 18 are mounted: not where they were up to 17."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.doctor.docker import PROJECT, Stack
from app.doctor.finding import Finding, failed, ok, skipped
from app.doctor.patient import Patient

OLD = "/var/lib/postgresql/data"
NEW = "/var/lib/postgresql"
FIRST = 18  # the first image that keeps its data in a folder per version
MEND = "docker compose up --detach --force-recreate postgres"


async def volume(patient: Patient) -> Finding:
    """The image refuses to start on the old place, or its data end with the container; both look like a lost volume."""
    stack = await patient.docker.stack()
    if not isinstance(stack, Stack):
        return skipped("volume", "there is no compose v2 to read compose.yaml")
    services = [mount.service for mount in stack.mounts if _misplaced(mount.image, mount.environment, mount.target)]
    if services:
        files = " ".join(map(shlex.quote, _files(patient.root))) or "compose.yaml"
        seen = f"service {services[0]} mounts its volume at {OLD}, where PostgreSQL {FIRST} keeps nothing"
        return failed("volume", seen, f"perl -pi -e 's#{OLD}#{NEW}#' {files}", MEND)
    containers = [str(box["Name"]).lstrip("/") for box in await _containers(patient, stack) if _old_mount(box)]
    if containers:
        seen = f"container {containers[0]} was made with a volume at {OLD}, where PostgreSQL {FIRST} keeps nothing"
        return failed("volume", seen, MEND)
    return ok("volume", f"the data of PostgreSQL are mounted at {NEW}")


def _misplaced(image: str, environment: Mapping[str, str], target: str) -> bool:
    """PGDATA set by hand moves the data to the old place, and the mount is right again."""
    version = re.search(r"(?:^|/)postgres:(\d+)", image)
    old = target.rstrip("/") == OLD and not environment.get("PGDATA", "").startswith(OLD)
    return bool(old and version and int(version[1]) >= FIRST)


def _files(root: Path) -> Iterator[str]:
    for path in sorted(root.glob("*compose*.y*ml")):
        if OLD in path.read_text(encoding="utf-8"):
            yield path.name


async def _containers(patient: Patient, stack: Stack) -> list[dict[str, Any]]:
    """Those of our stack, also the stopped ones."""
    if not (await patient.docker.engine()).answers:
        return []
    listed = await patient.docker.ask("ps", "--all", "--quiet", "--filter", f"label={PROJECT}={stack.name}")
    if not listed.fine or not listed.out:
        return []
    said = await patient.docker.ask("container", "inspect", *listed.out.split())
    return list(json.loads(said.out)) if said.fine else []


def _old_mount(container: Mapping[str, Any]) -> bool:
    config = container["Config"]
    environment = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
    # The image itself sets PGDATA below the new place, so only a value of the old one counts.
    return any(_misplaced(config["Image"], environment, mount["Destination"]) for mount in container["Mounts"])
