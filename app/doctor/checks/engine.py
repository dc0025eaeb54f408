"""The Docker engine, Compose and the images: needed for containers only, as `make run` does without."""

from __future__ import annotations

from app.doctor.docker import Engine, State
from app.doctor.finding import Finding, ok, skipped, warning
from app.doctor.patient import Patient
from app.doctor.words import listed

IMAGES = ("postgres:18", "redis:8", "python:3.13-slim")
OLDEST_ENGINE = 25  # health checks with start_interval
OLDEST_COMPOSE = (2, 22)  # `docker compose watch`
# Why no engine answers, and the cure of each.
TROUBLE = {
    State.NO_CLIENT: (
        "there is no Docker client on the PATH; make run needs none, containers do",
        "sudo .ci/engine start   # Debian; elsewhere install Docker",
    ),
    State.NOT_RUNNING: (
        "the Docker client is here, but no engine runs; make run needs none, containers do",
        "sudo systemctl start docker   # or start Docker Desktop",
    ),
    State.SILENT: (
        "the Docker engine does not answer ({})",
        "sudo systemctl restart docker   # or restart Docker Desktop",
    ),
    State.DENIED: (
        "the Docker engine's socket refuses this user: it is not in the group docker",
        'sudo usermod -aG docker "$USER" && newgrp docker',
    ),
    State.BROKEN: ("the Docker client fails: {}", "docker context use default\ndocker version"),
}


async def engine(patient: Patient) -> Finding:
    """Never more than a warning: one way of three to run the service is closed."""
    if not patient.checkout:
        return skipped("engine", "this is not a checkout, so nothing here starts containers")
    found = await patient.docker.engine()
    if found.answers:
        return _age(found)
    host = patient.environ.get("DOCKER_HOST")
    if host and found.state is State.NOT_RUNNING:
        return warning("engine", f"no Docker engine answers at DOCKER_HOST={host}", "unset DOCKER_HOST")
    seen, remedy = TROUBLE[found.state]
    return warning("engine", seen.format(found.said), remedy)


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
