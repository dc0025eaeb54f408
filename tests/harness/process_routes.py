"""Routes that tell what a process was started with and what it holds, however it was started."""

from __future__ import annotations

import os
import random
import resource
import secrets
import signal
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
from quart import Blueprint

from app.feature import Feature
from app.web import PUBLIC, endpoint

routes = Blueprint("process", __name__, url_prefix="/test")


@routes.get("/process")
@endpoint(PUBLIC)
async def process() -> dict[str, Any]:
    """What two processes that were started alike have in common."""
    return {
        "arguments": sys.argv,
        "environ": {name: text for name, text in os.environ.items() if name != "LC_CTYPE"},  # the interpreter's own
        "folder": str(Path.cwd()),
        "path": sys.path,
        "files": list(resource.getrlimit(resource.RLIMIT_NOFILE)),
        "open": psutil.Process().num_fds(),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "signals": sorted(
            number.name for number in signal.valid_signals() if signal.getsignal(number) != signal.SIG_DFL
        ),
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "encodings": [sys.stdin.encoding, sys.stdout.encoding, sys.getfilesystemencoding()],
    }


@routes.get("/dice")
@endpoint(PUBLIC)
async def dice() -> dict[str, Any]:
    """What no two processes have in common."""
    return {"random": random.random(), "secret": secrets.token_hex(), "id": str(uuid4())}  # noqa: S311  (no secret)


feature = Feature("process", (routes,))
