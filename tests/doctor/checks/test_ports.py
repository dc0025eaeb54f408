"""Ports that somebody else holds: real listeners, found through /proc."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.doctor import Status
from app.doctor.checks.ports import compose_ports, server_port
from app.doctor.listeners import listeners
from tests.doctor import recordings
from tests.doctor.project import Project, Recorded
from tests.harness.fixtures import StartApp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="who holds a port is read from /proc, which Linux has")


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which this very process listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def config(**services: dict[str, object]) -> Recorded:
    """What `docker compose config` prints, shortened to what is read of it."""
    return Recorded(
        json.dumps({"name": "main", "services": services, "volumes": {"postgres": {"name": "main_postgres"}}})
    )


def publishing(port: int) -> dict[str, object]:
    return {
        "ports": [
            {"mode": "ingress", "host_ip": "127.0.0.1", "target": 5432, "published": str(port), "protocol": "tcp"}
        ]
    }


async def test_taken_server_port_names_the_process(project: Project, taken_port: int) -> None:
    finding = await project.finding(server_port, f"server.port={taken_port}")

    assert finding.status is Status.FAILED
    assert finding.seen.startswith(f"127.0.0.1:{taken_port} is taken by python")
    assert finding.seen.endswith(f"process {os.getpid()}")
    assert finding.remedy.splitlines()[0] == f"kill {os.getpid()}"
    assert finding.remedy.splitlines()[1].startswith("APP_SERVER__PORT=")


def test_file_that_is_closed_meanwhile_hides_none_after_it() -> None:
    """As each look at this very process has one: the folder that is read, gone when it is asked what it was."""
    with ExitStack() as files:
        lower = [files.enter_context(Path(os.devnull).open()) for _ in range(8)]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for file in lower:
                file.close()  # their numbers are free for the folder, which is thus listed before the listener
            found = listeners(listener.getsockname()[1])

    assert [each.pid for each in found] == [os.getpid()]


async def test_our_own_server_on_the_port_is_no_trouble(project: Project, app_process: StartApp) -> None:
    app = await app_process()

    finding = await project.finding(server_port, f"server.port={app.url.rpartition(':')[2]}")

    assert finding.status is Status.OK
    assert finding.seen.startswith("our own server answers on 127.0.0.1:")
    assert finding.seen.endswith(f"process {app.pid}")


async def test_free_server_port(project: Project, taken_port: int) -> None:
    finding = await project.finding(server_port, "server.host=127.0.0.2", f"server.port={taken_port}")

    assert finding.status is Status.OK


async def test_any_port_is_not_looked_at(project: Project) -> None:
    assert (await project.finding(server_port, "server.port=0")).status is Status.SKIPPED


async def test_address_of_another_machine(project: Project) -> None:
    finding = await project.finding(server_port, "server.host=192.0.2.1")

    assert finding.status is Status.FAILED
    assert finding.seen == "server.host is 192.0.2.1, which is not an address of this machine"


async def test_port_of_a_container_names_the_container(project: Project, taken_port: int) -> None:
    row = {
        "Names": "shop-web-1",
        "Ports": f"127.0.0.1:{taken_port}->80/tcp",
        "Labels": "com.docker.compose.project=shop",
    }
    project.docker(version=recordings.ENGINE, ps=Recorded(json.dumps(row)))

    finding = await project.finding(server_port, f"server.port={taken_port}")

    assert finding.seen.endswith("is taken by container shop-web-1")
    assert finding.remedy.splitlines()[0] == "docker stop shop-web-1"


async def test_taken_compose_port_names_the_variable_that_moves_it(project: Project, taken_port: int) -> None:
    project.write("compose.yaml", f'ports: ["127.0.0.1:${{POSTGRES_PORT:-{taken_port}}}:5432"]')
    project.docker(
        compose_version=recordings.COMPOSE,
        compose=config(postgres=publishing(taken_port)),
        version=recordings.ENGINE,
        ps=recordings.NOTHING,
    )

    finding = await project.finding(compose_ports)

    assert finding.status is Status.WARNING
    assert finding.seen.startswith(f"make up would fail: {taken_port} (postgres) is taken by python")
    assert finding.remedy.startswith("POSTGRES_PORT=")
    assert finding.remedy.endswith(" make up")


async def test_compose_port_held_by_our_own_container_is_no_trouble(project: Project, taken_port: int) -> None:
    row = {
        "Names": "main-postgres-1",
        "Ports": f"127.0.0.1:{taken_port}->5432/tcp",
        "Labels": "a=b,com.docker.compose.project=main",
    }
    project.docker(
        compose_version=recordings.COMPOSE,
        compose=config(postgres=publishing(taken_port)),
        version=recordings.ENGINE,
        ps=Recorded(json.dumps(row)),
    )

    assert (await project.finding(compose_ports)).status is Status.OK


async def test_compose_file_with_a_mistake_is_quoted(project: Project) -> None:
    project.docker(compose_version=recordings.COMPOSE, compose=recordings.BROKEN_YAML)

    finding = await project.finding(compose_ports)

    assert finding.status is Status.WARNING
    assert "Additional property portz is not allowed" in finding.seen


async def test_compose_ports_are_skipped_without_compose(project: Project) -> None:
    assert (await project.finding(compose_ports)).status is Status.SKIPPED


@pytest.mark.docker
async def test_real_compose_file_is_read(project: Project, taken_port: int) -> None:
    project.environ.update(PLINTH_PORT=str(taken_port), POSTGRES_PORT="0", REDIS_PORT="0")

    finding = await project.with_real_docker().finding(compose_ports)

    assert finding.status is Status.WARNING
    assert f"{taken_port} (app) is taken by" in finding.seen
    assert finding.remedy.startswith("PLINTH_PORT=")
