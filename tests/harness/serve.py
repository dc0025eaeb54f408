"""The real server or worker as a child process of a test, with routes and tasks that only tests have.

`python -m tests.harness.serve ROOT MODULE [--role=serve|work|both] [SECTION.KEY=VALUE ...]`: ROOT is the folder of the
settings, MODULE holds a `feature` to add to the app's own.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path

from app.core.settings import load_settings
from app.server import Role, run_server
from tests.harness.features import features_with

ROLE = "--role="


def end_with_parent() -> None:
    """Standard input closes when the test run is gone, however it went."""
    os.read(sys.stdin.fileno(), 1)  # past Python's buffer, whose lock would disturb the interpreter's end
    os.kill(os.getpid(), signal.SIGKILL)


def main(root: str, module: str, *overrides: str) -> int:
    threading.Thread(target=end_with_parent, daemon=True).start()
    role = Role.SERVE
    if overrides and overrides[0].startswith(ROLE):
        role, overrides = Role(overrides[0].removeprefix(ROLE)), overrides[1:]
    settings = load_settings(root=Path(root), overrides=overrides, secrets_folder=Path(root, "secrets"))
    return run_server(settings, features=features_with(import_module(module).feature), role=role)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
