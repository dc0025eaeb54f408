"""One stack of compose.yaml under a project name and ports of its own, driven as `make up` and `make down` do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx

from tests.e2e.containers import BUILD_LIMIT, LIMIT, CommandFailed, docker

# Variables of this shell that would change what a stack is.
OURS = ("APP_", "COMPOSE_", "PLINTH_", "DATABASE_", "DB_", "REDIS_")
ANY_PORTS = {"PLINTH_PORT": "0", "POSTGRES_PORT": "0", "REDIS_PORT": "0"}


@dataclass(frozen=True)
class Stack:
    folder: Path
    project: str
    seconds: float  # from `up` to healthy, with the images there

    def compose(self, *arguments: str) -> str:
        return compose(self.folder, self.project, *arguments)

    def container(self, service: str) -> str:
        """The id of the service's one container, running or not."""
        return self.compose("ps", "--all", "--quiet", service)

    def get(self, path: str) -> httpx.Response:
        """Ask the server over its published port, which is another one after each start."""
        address = self.compose("port", "app", "8000")
        return httpx.get(f"http://{address}{path}", timeout=10)

    def sql(self, statement: str) -> str:
        return self.compose("exec", "-T", "postgres", "psql", "-XAtq", "-U", "plinth", "-c", statement, "plinth")


def compose(folder: Path, project: str, *arguments: str, limit: float = LIMIT) -> str:
    """`docker/compose` in the folder. Raises `CommandFailed` with both outputs."""
    theirs = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    done = subprocess.run(
        ["docker/compose", *arguments],
        cwd=folder,
        env={**theirs, **ANY_PORTS, "COMPOSE_PROJECT_NAME": project, "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    if done.returncode:
        raise CommandFailed(f"compose {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """The stack of the project in the folder, healthy; gone after the block with its data and its image."""
    project = f"plinth-e2e-{uuid4().hex[:8]}"
    try:
        compose(folder, project, "build", "--quiet", limit=BUILD_LIMIT)
        started = time.monotonic()
        compose(folder, project, "up", "--wait", "--wait-timeout", "90")
        yield Stack(folder, project, time.monotonic() - started)
    except CommandFailed as failure:
        raise CommandFailed(f"{failure}\n{_logs(folder, project)}") from failure
    finally:
        compose(folder, project, "down", "--volumes", "--remove-orphans", "--timeout", "5")
        with suppress(CommandFailed):
            docker("image", "rm", f"plinth:{project}")


def _logs(folder: Path, project: str) -> str:
    with suppress(CommandFailed):
        return compose(folder, project, "logs", "--no-color", "--tail", "30")
    return "(no logs)"


def left_of(project: str) -> dict[str, list[str]]:
    """What the engine still has of a project, by kind."""
    mine = ("--quiet", "--filter", f"label=com.docker.compose.project={project}")
    return {
        "containers": docker("ps", "--all", *mine).split(),
        "networks": docker("network", "ls", *mine).split(),
        "volumes": docker("volume", "ls", *mine).split(),
    }
