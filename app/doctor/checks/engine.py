"""The Docker engine, Compose and the images: needed for containers only, as `make run` does without."""

from __future__ import annotations

from app.doctor.docker import Engine, State
from app.doctor.finding import Finding, ok, skipped, warning
from app.doctor.patient import Patient
from app.doctor.words import listed

IMAGES = ("postgres:18", "redis:8", "python:3.13-slim")
OLDEST_ENGINE = 25  # health checks with start_interval
OLDEST_COMPOSE = (2, 22)  # `docker compose watch`
NO_NEED = "make run needs none"


async def engine(patient: Patient) -> Finding:
    """Three ways in which no engine answers, each with its own cure."""
    found = await patient.docker.engine()
    if found.answers:
        return _age(found)
    if found.state is State.NO_CLIENT:
        seen = f"there is no Docker client on the PATH; {NO_NEED}, containers do"
        return warning("engine", seen, "sudo .ci/engine start   # Debian; elsewhere install Docker")
    if found.state is State.DENIED:
        seen = "the Docker engine's socket refuses this user: it is not in the group docker"
        return warning("engine", seen, 'sudo usermod -aG docker "$USER" && newgrp docker')
    if found.state is State.NOT_RUNNING:
        return _not_running(patient)
    return warning("engine", f"the Docker client fails: {found.said}", "docker context use default", "docker version")


def _not_running(patient: Patient) -> Finding:
    host = patient.environ.get("DOCKER_HOST")
    if host:
        return warning("engine", f"no Docker engine answers at DOCKER_HOST={host}; {NO_NEED}", "unset DOCKER_HOST")
    seen = f"the Docker client is here, but no engine runs; {NO_NEED}, containers do"
    return warning("engine", seen, "sudo systemctl start docker   # or start Docker Desktop")


def _age(found: Engine) -> Finding:
    major = found.version.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST_ENGINE:
        seen = f"engine {found.version} is older than {OLDEST_ENGINE}: it refuses the health checks of compose.yaml"
        return warning("engine", seen, "sudo apt-get update && sudo apt-get install docker-ce   # or .ci/engine start")
    return ok("engine", f"Docker engine {found.version} answers")


async def compose(patient: Patient) -> Finding:
    """`docker-compose` of old does not count: it reads neither `develop` nor long-form dependencies."""
    said = await patient.docker.compose()
    if said is None:
        return skipped("compose", "there is no Docker client")
    if not said.fine:
        return warning(
            "compose",
            f"Docker has no compose v2 ({said.reason}); make up needs it",
            "sudo apt-get install docker-compose-v2   # the plugin is docker-compose-plugin in Docker's own packages",
        )
    if _numbers(said.out) < OLDEST_COMPOSE:
        wanted = ".".join(map(str, OLDEST_COMPOSE))
        return warning(
            "compose",
            f"compose {said.out} is older than {wanted}",
            "sudo apt-get install --only-upgrade docker-compose-plugin",
        )
    return ok("compose", f"compose {said.out}")


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.removeprefix("v").split("-")[0].split("+")[0].split(".")
    return tuple(int(part) for part in parts[:2] if part.isdigit())


async def images(patient: Patient) -> Finding:
    """Without them and without a registry, nothing can be built or started."""
    if not (await patient.docker.engine()).answers:
        return skipped("images", "no Docker engine answers")
    said = await patient.docker.ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    missing = [image for image in IMAGES if image not in said.out.split()]
    if not missing:
        return ok("images", f"{', '.join(IMAGES)} are here")
    registry = await patient.docker.ask("manifest", "inspect", missing[0])
    if registry.fine:
        return ok("images", f"{listed(missing)} will be fetched when first needed: the registry answers")
    return warning(
        "images", f"{listed(missing)} missing, and no registry gives them ({registry.reason})", "make offline-images"
    )
