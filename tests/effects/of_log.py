"""Section `log`."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from tests.effects.case import Trial, shows
from tests.effects.starting import started


@shows("log.level", {"info": "starting", "critical": "start_failed"})
def the_first_event_is_important_enough(trial: Trial) -> str:
    first = _parsed(started(trial.settings("log.format=json", "server.port=0")).lines[0])
    return str(first["event"])


@shows("log.format", {"json": True, "console": False})
def the_first_line_is_json(trial: Trial) -> bool:
    return bool(_parsed(started(trial.settings("log.level=info", "server.port=0")).lines[0]))


def _parsed(line: str) -> dict[str, Any]:
    with suppress(ValueError):
        return dict(json.loads(line))
    return {}
