"""How long a start takes with its services up, and where the time goes; the figure stands at the end of a run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.harness.app_process import AppProcess
from tests.harness.fixtures import StartApp


@pytest.mark.engines
async def test_a_started_server_answers_at_once_and_is_ready(
    app_process: StartApp, figure: Callable[[str], None]
) -> None:
    began = datetime.now(UTC)
    app = await app_process(cold=True)
    answer = await app.http.get("/health/ready")
    answered = datetime.now(UTC)

    imported, listening = _at(app, "starting"), _at(app, "server_listening")
    figure(
        f"start: first 200 after {(answered - began).total_seconds():.2f} s: "
        f"interpreter, imports and settings {(imported - began).total_seconds():.2f} s, "
        f"pool, Redis and probes {(listening - imported).total_seconds():.2f} s, "
        f"first answer {(answered - listening).total_seconds():.2f} s"
    )
    assert answer.status_code == 200


def _at(app: AppProcess, name: str) -> datetime:
    event: dict[str, Any] = app.events(name)[0]
    return datetime.fromisoformat(event["timestamp"])
