"""Whether a Docker engine answers, and whether it has the images that tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

POSTGRES_IMAGE, REDIS_IMAGE = "postgres:18", "redis:8"
PING_LIMIT = 30.0  # seconds; a busy machine, not a missing engine: that one is refused at once
PULL_LIMIT = 120.0  # seconds for one image; a registry that cannot be reached fails much sooner


@dataclass(frozen=True)
class Engine:
    """What is known of the engine; workers are told by the controller and ask nobody."""

    address: str
    why_not: str  # empty where the engine answers
    required: bool

    def why_no_containers(self) -> str:
        """The reason why services cannot run in containers; empty where they can. Pulls what is missing."""
        return self.why_not or next(filter(None, map(_why_no_image, (POSTGRES_IMAGE, REDIS_IMAGE))), "")


def find_engine(environ: Mapping[str, str]) -> Engine:
    required = environ.get("PLINTH_REQUIRE_DOCKER", "") not in ("", "0")
    address = environ.get("DOCKER_HOST", "the default socket")
    if shutil.which("docker") is None:
        return Engine(address, "there is no docker command here", required)
    asked = _docker("version", "--format", "{{.Server.Version}}", limit=PING_LIMIT)
    return Engine(
        address, f"no Docker engine answers at {address} ({asked.trouble})" if asked.trouble else "", required
    )


@dataclass(frozen=True)
class Answer:
    """What the docker command said; `trouble` is empty where it worked."""

    trouble: str


def _docker(*arguments: str, limit: float) -> Answer:
    try:
        done = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, timeout=limit, check=False, env=os.environ
        )
    except subprocess.TimeoutExpired:
        return Answer(f"no answer within {limit:.0f} s")
    words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return Answer("" if done.returncode == 0 else words[-1])


@cache
def _why_no_image(image: str) -> str:
    if not _docker("image", "inspect", "--format", "{{.Id}}", image, limit=PING_LIMIT).trouble:
        return ""
    pulled = _docker("pull", "--quiet", image, limit=PULL_LIMIT)
    return f"the image {image} is not here and cannot be pulled ({pulled.trouble})" if pulled.trouble else ""
