"""Folders that can't be written, files of other people, and a disk that fills up."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app.doctor import Limits, Status
from app.doctor.checks.disk import disk
from app.doctor.checks.folders import folders
from app.doctor.checks.ownership import ownership
from tests.doctor.project import Project
from tests.doctor.unprivileged import NOBODY, finding_of
from tests.harness.settings import SECRETS

IS_ROOT = os.geteuid() == 0
only_root = pytest.mark.skipif(not IS_ROOT, reason="only root can give files to another user")


def hand_over(project: Project, uid: int) -> None:
    """Make the whole project somebody's."""
    for path in (project.root, *project.root.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


@pytest.fixture
def checkout(open_project: Project) -> Project:
    """A checkout of the unprivileged user, with the folders that commands write."""
    for name in (".local", ".venv/lib", "docs"):
        (open_project.root / name).mkdir(parents=True)
    if IS_ROOT:
        hand_over(open_project, NOBODY)
    return open_project


@pytest.fixture
def configured(open_project: Project) -> Project:
    """One whose settings can be read by somebody who may write nothing."""
    open_project.environ.update(SECRETS, DB_PASSWORD="made-up-for-tests")
    return open_project


def test_writable_folders(checkout: Project) -> None:
    assert finding_of("folders", checkout).status is Status.OK


def test_locked_folder(checkout: Project) -> None:
    (checkout.root / "docs").chmod(0o555)

    finding = finding_of("folders", checkout)

    assert finding.status is Status.FAILED
    assert finding.seen == "can't be written: docs is locked"
    assert finding.remedy == "chmod u+rwx docs"


@only_root
def test_folder_of_somebody_else(checkout: Project) -> None:
    os.chown(checkout.root / ".local", 0, 0)

    finding = finding_of("folders", checkout)

    assert finding.status is Status.FAILED
    assert finding.seen == "can't be written: .local belongs to root"
    assert finding.remedy == 'sudo chown -R "$(id -u):$(id -g)" .local'


async def test_file_where_a_folder_belongs(project: Project) -> None:
    project.write(".local", "")

    finding = await project.finding(folders)

    assert finding.status is Status.FAILED
    assert finding.seen == "can't be written: .local is a file, not a folder"
    assert finding.remedy == "mv .local .local.old"


NAMESPACE = ("/usr/bin/env", f"PATH={os.environ['PATH']}", "unshare", "--map-root-user", "--mount", "--")


def namespaces() -> bool:
    """Whether this machine lets the test mount a file system in a namespace of its own."""
    attempt = f"mount -t tmpfs none /tmp && {sys.executable} -c ''"
    return subprocess.run([*NAMESPACE, "/bin/sh", "-c", attempt], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not namespaces(), reason="this machine gives a test no namespace to mount a file system in")
def test_read_only_file_system(open_project: Project) -> None:
    docs = open_project.root / "docs"
    docs.mkdir()
    mounting = (*NAMESPACE, "/bin/sh", "-c", f'mount -t tmpfs -o ro none {docs} && exec "$@"', "sh")

    finding = finding_of("folders", open_project, through=mounting)

    assert finding.status is Status.FAILED
    assert finding.seen == "can't be written: docs lies on a read-only file system"
    assert finding.remedy == f"sudo mount -o remount,rw {docs}"


async def test_folders_of_an_image_are_nobodys_to_write(project: Project) -> None:
    (project.root / "Makefile").unlink()

    assert (await project.finding(folders)).status is Status.SKIPPED


def test_own_files(checkout: Project) -> None:
    assert finding_of("ownership", checkout).status is Status.OK


@only_root
def test_files_left_behind_by_a_run_with_sudo(checkout: Project) -> None:
    (checkout.root / ".venv" / "lib" / "left.py").touch()
    (checkout.root / ".local" / "secrets").mkdir()

    finding = finding_of("ownership", checkout)

    assert finding.status is Status.FAILED
    assert finding.seen.startswith("2 of the files in .local, .venv belong to root (such as .local/secrets)")
    assert finding.remedy == 'sudo chown -R "$(id -u):$(id -g)" .local .venv'


@only_root
async def test_run_through_sudo_is_advised_against(project: Project) -> None:
    project.environ["SUDO_USER"] = "ada"

    finding = await project.finding(ownership)

    assert finding.status is Status.WARNING
    assert finding.seen.endswith("what it writes will not belong to ada")


@only_root
async def test_root_may_touch_every_file(project: Project) -> None:
    assert (await project.finding(ownership)).status is Status.SKIPPED


@pytest.mark.parametrize(
    ("limits", "status"),
    [
        (Limits(disk_warning=0, disk_failed=0), Status.OK),
        (Limits(disk_warning=1 << 60, disk_failed=0), Status.WARNING),
        (Limits(disk_warning=1 << 60, disk_failed=1 << 60), Status.FAILED),
    ],
)
async def test_room_that_is_left(project: Project, limits: Limits, status: Status) -> None:
    free = shutil.disk_usage(project.root).free

    finding = await replace(project, limits=limits).finding(disk)

    assert finding.status is status
    number, unit, *rest = finding.seen.partition(":")[0].split()
    # Other tests write meanwhile.
    assert float(number) * {"GB": 1e9, "MB": 1e6}[unit] == pytest.approx(free, abs=1e9)
    assert " ".join(rest) == "free where .local lies"


def privileged_from() -> int:
    """The first port that everybody may listen on."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except OSError:
        return 1024


@pytest.mark.skipif(privileged_from() < 2, reason="every port is everybody's on this machine")
def test_port_that_is_roots(configured: Project) -> None:
    finding = finding_of("server-port", configured, "server.port=1")

    assert finding.status is Status.FAILED
    assert finding.seen == "this user may not listen on port 1: ports this low are root's"


@only_root
@pytest.mark.skipif(sys.platform != "linux", reason="who holds a port is read from /proc, which Linux has")
def test_port_held_by_another_user_names_the_user(configured: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        finding = finding_of("server-port", configured, f"server.port={port}")

    assert finding.status is Status.FAILED
    assert finding.seen.endswith("is taken by a process of user root (only that user and root may see which)")
    assert finding.remedy.splitlines()[0].startswith("sudo ss -ltnp")
