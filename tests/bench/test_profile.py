"""Which layer a look at the process counts for."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from app.core.settings import PROJECT_ROOT
from bench.profile import LAYERS, LOOP, layer_of, shares

RUNNER = "run (/usr/lib/python3.11/asyncio/runners.py:118)"
ACCESS = "_log (/srv/app/web/access.py:88)"
DUMPS = "dumps (/srv/app/core/json.py:33)"
PROTOCOL = "CoreProtocol__parse_data_msgs (protocol.c:1234)"
WRITE = "UVStream_write (loop.c:77)"
DECODE = "decode (/usr/lib/python3.11/json/decoder.py:337)"
QUART = "handle_request (/srv/.venv/lib/python3.11/site-packages/quart/app.py:1462)"


@pytest.mark.parametrize(
    ("stack", "layer"),
    [
        ((RUNNER,), LOOP),
        ((RUNNER, QUART), "Quart, Werkzeug"),
        ((RUNNER, QUART, ACCESS), "log line"),
        ((RUNNER, ACCESS, DUMPS), "JSON"),
        ((RUNNER, QUART, ACCESS, DECODE), "log line"),
        ((RUNNER, WRITE, PROTOCOL, WRITE), "asyncpg"),
        ((RUNNER, WRITE), LOOP),
    ],
)
def test_a_look_counts_for_the_innermost_layer(stack: tuple[str, ...], layer: str) -> None:
    assert layer_of(stack) == layer


def test_shares_are_of_the_loops_thread_only() -> None:
    folded = "\n".join((f"main;{RUNNER};{QUART} 6", f"main;{RUNNER};{ACCESS} 2", "thread;wait (threading.py:1) 99"))

    assert shares(folded) == {"Quart, Werkzeug": 0.75, "log line": 0.25}


def test_every_layer_has_a_file() -> None:
    """A module that was renamed would count for whoever calls it."""
    ours = [
        f"/{path.relative_to(PROJECT_ROOT)}"
        for part in ("app", "bench")
        for path in (PROJECT_ROOT / part).rglob("*.py")
    ]

    for name, pattern in LAYERS.items():
        for each in re.split(r"\|(?![^(]*\))", pattern):
            found = any(re.search(each, path) for path in ours) or _is_installed(each.strip("/"))
            assert found, f"{name}: {each}"


def _is_installed(package: str) -> bool:
    spec = find_spec(package)
    return spec is not None and Path(spec.origin or "").name == "__init__.py"
