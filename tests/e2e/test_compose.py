"""The stack of compose.yaml: it comes up by itself, mends itself, gives nothing away and stops clean."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.e2e.containers import docker, inspect, output
from tests.e2e.load_runner import load_on
from tests.e2e.stack import Stack
from tests.harness.waiting import eventually

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("stack"), pytest.mark.timeout(1500)]

PUBLISHED = ("postgres", "redis", "app")
SERVERS = (*PUBLISHED, "worker")

# What a feature does in a request, typed into the container of the server.
ENQUEUE = """
import asyncio
from app.core.database import open_database
from app.core.queue import open_queue
from app.core.settings import load_settings
from app.features.queue.tasks import SWEEP_OUTBOX

async def main():
    async with open_database(load_settings().database) as db, open_queue(db) as queue:
        async with db.transaction():
            print(await queue.enqueue(SWEEP_OUTBOX, SWEEP_OUTBOX.payload()))

asyncio.run(main())
"""

FATE = """
SELECT status, locked_by FROM tasks WHERE id = 'ID' UNION ALL
SELECT status, locked_by FROM finished_tasks WHERE id = 'ID'
"""


def status_of(stack: Stack, path: str) -> int:
    return stack.get(path).status_code


def lines(stack: Stack, service: str, event: str) -> list[dict[str, str]]:
    """What the service has logged of one kind, since its container was made."""
    logged = [line for line in output(stack.container(service)).splitlines() if line.startswith("{")]
    return [entry for entry in map(json.loads, logged) if entry["event"] == event]


def whole(stack: Stack) -> bool:
    """Every part is there, Redis too, which readiness does without."""
    return bool(stack.get("/health").json()["status"] == "healthy")


def health(stack: Stack, service: str) -> str:
    return str(inspect("container", stack.container(service))["State"]["Health"]["Status"])


def test_stack_is_healthy_and_ready(stack: Stack, figure: Callable[[str], None]) -> None:
    figure(f"compose: healthy {stack.seconds:.1f} s after `up`, with the images there")

    assert status_of(stack, "/health/ready") == 200
    assert whole(stack)


def test_migrations_ran_before_the_server_and_only_once(stack: Stack) -> None:
    """The migrator is started again by each `up`, and then finds nothing to do."""
    migrated = lines(stack, "migrate", "revision_applied")
    listening = lines(stack, "app", "server_listening")

    assert inspect("container", stack.container("migrate"))["State"]["ExitCode"] == 0
    assert len(migrated) == len({line["revision"] for line in migrated}) > 0
    assert max(line["timestamp"] for line in migrated) < min(line["timestamp"] for line in listening)


@pytest.mark.parametrize("service", SERVERS)
def test_processes_have_no_privileges_and_cannot_get_any(stack: Stack, service: str) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in stack.compose("exec", "-T", service, "cat", "/proc/1/status").splitlines()
        if ":\t" in line
    )

    assert status["Uid"].split()[0] != "0"
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("service", [*SERVERS, "migrate"])
def test_containers_are_limited_and_their_root_is_read_only(stack: Stack, service: str) -> None:
    limits = inspect("container", stack.container(service))["HostConfig"]

    assert limits["ReadonlyRootfs"]
    assert limits["Memory"] > 0
    assert limits["NanoCpus"] > 0
    assert limits["PidsLimit"] > 0
    assert limits["LogConfig"]["Type"] == "local"


@pytest.mark.parametrize("service", PUBLISHED)
def test_ports_are_published_on_loopback_only(stack: Stack, service: str) -> None:
    ports = inspect("container", stack.container(service))["NetworkSettings"]["Ports"]

    assert {binding["HostIp"] for bindings in ports.values() for binding in bindings or ()} == {"127.0.0.1"}


@pytest.mark.parametrize("service", [*SERVERS, "migrate"])
def test_no_secret_is_in_a_container_configuration(stack: Stack, service: str) -> None:
    names = ("database_password", "jwt_secret", "session_secret")
    secrets = [(stack.folder / ".local/secrets" / name).read_text() for name in names]

    configuration = docker("container", "inspect", stack.container(service))

    assert [name for name, secret in zip(names, secrets, strict=True) if secret in configuration] == []


def test_data_lies_in_the_named_volume(stack: Stack) -> None:
    mounts = inspect("container", stack.container("postgres"))["Mounts"]

    assert [(mount["Name"], mount["Destination"]) for mount in mounts if mount["Type"] == "volume"] == [
        (f"{stack.project}_postgres", "/var/lib/postgresql")
    ]
    assert stack.sql("SHOW data_directory").startswith("/var/lib/postgresql/")


def test_engine_waits_longer_than_the_drain_takes(stack: Stack) -> None:
    longest = stack.compose(
        *("exec", "-T", "app", "python3", "-c"),
        "from app.core.settings import load_settings as l; s = l().server; print(s.drain_delay + s.shutdown_timeout)",
    )

    assert inspect("container", stack.container("app"))["Config"]["StopTimeout"] > float(longest) + 5


def test_engine_waits_longer_than_tasks_may_take(stack: Stack) -> None:
    longest = stack.compose(
        *("exec", "-T", "worker", "python3", "-c"),
        "from app.core.settings import load_settings as l; print(l().worker.shutdown_timeout)",
    )

    assert inspect("container", stack.container("worker"))["Config"]["StopTimeout"] > float(longest) + 10


def enqueue(stack: Stack) -> str:
    """The id of a task; it is in the last line, after what the start has logged."""
    return stack.compose("exec", "-T", "app", "python3", "-c", ENQUEUE).splitlines()[-1]


def fate(stack: Stack, task: str) -> str:
    return stack.sql(FATE.replace("ID", task))


async def test_the_worker_does_what_the_server_asks_for(stack: Stack) -> None:
    worker = inspect("container", stack.container("worker"))["Config"]["Hostname"]

    task = enqueue(stack)
    await eventually(lambda: fate(stack, task).startswith(f"done|{worker}:"), within=30)


async def test_a_stopped_worker_exits_0_and_what_comes_meanwhile_waits_for_the_next(stack: Stack) -> None:
    stack.compose("stop", "worker")
    try:
        code = inspect("container", stack.container("worker"))["State"]["ExitCode"]
        task = enqueue(stack)
        before = fate(stack, task)
    finally:
        stack.compose("start", "worker")

    assert (code, before) == (0, "pending|")
    assert lines(stack, "worker", "worker_stopped")
    await eventually(lambda: fate(stack, task).startswith("done|"), within=30)
    await eventually(lambda: health(stack, "worker") == "healthy", within=60)


async def test_readiness_follows_postgres_and_nothing_restarts(stack: Stack) -> None:
    started = inspect("container", stack.container("app"))["State"]["StartedAt"]

    stack.compose("kill", "postgres")
    try:
        await eventually(lambda: status_of(stack, "/health/ready") == 503, within=10)
        live = status_of(stack, "/health/live")
    finally:
        stack.compose("start", "postgres")

    await eventually(lambda: whole(stack), within=30)
    assert live == 200
    assert inspect("container", stack.container("app"))["State"]["StartedAt"] == started


async def test_health_check_needs_no_shell(stack: Stack) -> None:
    no_shells = [part for shell in ("dash", "bash") for part in ("--volume", f"/dev/null:/usr/bin/{shell}:ro")]

    name = stack.compose("run", "--detach", "--no-deps", *no_shells, "app")
    try:
        await eventually(lambda: inspect("container", name)["State"]["Health"]["Status"] == "healthy", within=30)
        with pytest.raises(AssertionError, match="exec"):
            docker("exec", name, "sh", "-c", "true")
    finally:
        docker("rm", "--force", name)


async def test_stop_under_load_cuts_no_request_and_exits_0(stack: Stack, figure: Callable[[str], None]) -> None:
    server = stack.container("app")
    network = f"{stack.project}_default"
    address = inspect("container", server)["NetworkSettings"]["Networks"][network]["IPAddress"]

    try:
        async with load_on(f"http://{address}:8000", image=f"plinth:{stack.project}", network=network) as load:
            stack.compose("stop", "app")
            outcomes = load.stop()
        code = inspect("container", server)["State"]["ExitCode"]
    finally:
        stack.compose("start", "app")
        await eventually(lambda: whole(stack), within=60)

    figure(f"compose: SIGTERM under load: {outcomes}, exit {code}")
    assert code == 0
    assert outcomes.get("cut", 0) == 0
    assert outcomes["answered"] > 200
    assert outcomes["refused"] > 0, "the load ended before the server did"


def test_second_up_changes_nothing(stack: Stack) -> None:
    before = {service: stack.container(service) for service in SERVERS}

    stack.compose("up", "--wait")

    assert {service: stack.container(service) for service in SERVERS} == before


@pytest.mark.parametrize("service", SERVERS)
async def test_restarted_service_is_healthy_again(stack: Stack, service: str) -> None:
    stack.compose("kill", service)
    stack.compose("start", service)

    await eventually(lambda: health(stack, service) == "healthy", within=60)
    await eventually(lambda: whole(stack), within=30)
