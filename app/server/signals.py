"""Two signals: the first asks, the second ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import structlog

from app.core.exit_codes import ExitCode

log = structlog.get_logger(__name__)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def install_stop_signals(loop: asyncio.AbstractEventLoop, ask: Callable[[], None]) -> None:
    """Call `ask` at the first SIGTERM or SIGINT; at the second leave at once with exit code 130."""
    asked = False

    def on_signal(name: str) -> None:
        nonlocal asked
        if asked:
            log.warning("stop_forced", signal=name)
            sys.stderr.flush()
            os._exit(ExitCode.FORCED)
        asked = True
        log.info("stop_requested", signal=name)
        ask()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, on_signal, number.name)
