"""`app doctor` as a person types it, on this very checkout."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from app.core.settings import PROJECT_ROOT
from app.doctor import CHECKS, name_of
from tests.harness.ports import reserved_port

pytestmark = pytest.mark.xdist_group("doctor-command")


def app_doctor(*options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    # A password of its own, so that the doctor's look at the settings makes no secret in this checkout.
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "app", "doctor", *options],
        cwd=PROJECT_ROOT,
        env={**kept, "APP_DATABASE__PASSWORD": "made-up-for-tests", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def healthy_run() -> subprocess.CompletedProcess[str]:
    with reserved_port() as port:
        return app_doctor("--json", APP_SERVER__PORT=str(port))


def test_every_check_is_told_as_json(healthy_run: subprocess.CompletedProcess[str]) -> None:
    page = json.loads(healthy_run.stdout)

    assert [finding["check"] for finding in page["findings"]] == [name_of(check) for check in CHECKS]
    assert page["seconds"] < 10


def test_exit_code_follows_the_findings(healthy_run: subprocess.CompletedProcess[str]) -> None:
    page = json.loads(healthy_run.stdout)
    failed = [finding for finding in page["findings"] if finding["status"] == "failed"]

    assert (healthy_run.returncode == 0) is page["ok"] is (not failed)
    assert healthy_run.stderr == ""


def test_taken_port_is_told_with_its_remedy_and_exit_code_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        done = app_doctor(APP_SERVER__PORT=str(port))

    assert done.returncode == 1
    assert f"FAIL  server-port    127.0.0.1:{port} is taken by" in done.stdout
    assert f"$ kill {os.getpid()}" in done.stdout
    assert done.stderr == ""


def test_faults_in_the_settings_stop_no_other_check() -> None:
    done = app_doctor(APP_SERVER__PORT="many")

    assert done.returncode == 1
    assert "FAIL  settings" in done.stdout
    assert "line-endings" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.alone
def test_whole_command_ends_within_its_limit() -> None:
    began = time.monotonic()

    app_doctor(APP_DATABASE__HOST="192.0.2.1", APP_REDIS__URL="redis://192.0.2.1/0")

    assert time.monotonic() - began < 10


def test_help_says_what_is_looked_at() -> None:
    done = app_doctor("--help")

    assert done.returncode == 0
    assert "Exit 0 when nothing failed" in done.stdout
