"""Asks a running server for everything that its own OpenAPI document promises."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.harness.app_process import AppProcess
from tests.harness.signed_tokens import sign

CONFIG = Path(__file__).with_name("schemathesis.toml")
LIMIT = 90.0  # seconds; a loaded machine, not a slow run


@dataclass(frozen=True)
class Found:
    """How it went: `code` is 0 where every answer was as declared; `text` tells what was not."""

    code: int
    text: str


async def fuzz(app: AppProcess, folder: Path, *, examples: int, below: str = "/") -> Found:
    """`examples` is the most for one operation, besides those that its schema calls for by itself; `below` a path.

    One worker: on Python 3.11 two threads that parse source at a time, as Hypothesis does, upset each other.
    """
    # From a file: of a document that it was told the address of, schemathesis leaves that address out.
    document = folder / "openapi.json"
    document.write_bytes((await app.http.get("/openapi.json")).content)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", f"--config-file={CONFIG}", "--no-color"),
        *(
            "run",
            str(document),
            f"--url={app.url}",
            f"--max-examples={examples}",
            "--continue-on-failure",
            "--workers=1",
        ),
        *("--include-path-regex", f"^{below}"),
        *("--header", f"Authorization: Bearer {sign('root', role='admin')}"),
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "SCHEMATHESIS_HOOKS": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT):
            text, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Found(process.returncode, text.decode())
