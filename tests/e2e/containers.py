"""Runs docker commands for end-to-end tests, and removes whatever they started."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

LABEL = "plinth.e2e"
LIMIT = 180.0  # seconds for one command
BUILD_LIMIT = 600.0  # the first one downloads all packages, and several may run at once
ENDING = 60  # seconds that a container may take to end; after 10 the engine would kill it, however busy the disk is


class CommandFailed(AssertionError):
    """A docker command ended with another exit code than 0."""


def docker(*arguments: str, stdin: str | None = None, limit: float = LIMIT) -> str:
    """What the command printed on its standard output. Raises `CommandFailed` with both outputs."""
    done = subprocess.run(
        ["docker", *arguments], input=stdin, capture_output=True, text=True, timeout=limit, check=False
    )
    if done.returncode:
        raise CommandFailed(f"docker {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def inspect(kind: str, name: str) -> Any:
    """Everything the engine knows about one image, container or volume."""
    return json.loads(docker(kind, "inspect", name))[0]


def output(container: str) -> str:
    """Both outputs of a container, whether it still runs or not."""
    done = subprocess.run(["docker", "logs", container], capture_output=True, text=True, timeout=LIMIT, check=True)
    return done.stdout + done.stderr


def exit_code(container: str) -> int:
    """Wait for the container's end."""
    return int(docker("wait", container))


def stop(container: str) -> None:
    """Tell it to end, and wait until it has."""
    docker("stop", "-t", str(ENDING), container)


@contextmanager
def container(image: str, *command: str, options: tuple[str, ...] = ()) -> Iterator[str]:
    """A container in the background; it and its anonymous volumes are gone after the block."""
    name = f"plinth-e2e-{uuid4().hex[:12]}"
    try:
        docker("run", "--detach", "--name", name, "--label", LABEL, *options, image, *command)
        yield name
    finally:
        with suppress(CommandFailed):
            docker("rm", "--force", "--volumes", name)


@contextmanager
def volume() -> Iterator[str]:
    """A named volume, which outlives the containers of the block."""
    name = f"plinth-e2e-{uuid4().hex[:12]}"
    docker("volume", "create", "--label", LABEL, name)
    try:
        yield name
    finally:
        docker("volume", "rm", "--force", name)


def run(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """The output of a container that ends by itself, with exit code 0."""
    return docker("run", "--rm", "--label", LABEL, *options, image, *command)
