"""docs/adding-a-feature.md, typed as it stands there into a copy of the project: what it promises comes true."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.e2e.project import ROOT, copy_project
from tests.harness.settings import TestSettings
from tests.harness.waiting import eventually

PAGE = (ROOT / "docs" / "adding-a-feature.md").read_text("utf-8")
PROGRAM = f"{sys.executable} -m app"
LIMIT = 120.0  # seconds; a loaded machine

pytestmark = pytest.mark.timeout(240)


class Copy:
    """The project of somebody who follows the page."""

    def __init__(self, folder: Path, settings: TestSettings) -> None:
        self.folder = copy_project(folder)
        self.env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **settings.environ}

    def write_the_files(self) -> list[str]:
        blocks = re.findall(r"^```python\n# (app/\S+)\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
        for name, text in blocks:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return [name for name, _ in blocks]

    def write_the_two_lines(self) -> None:
        self._put("app/bootstrap.py", r"(from app\.features import .*)", r"\1, notes")
        self._put("app/bootstrap.py", r"(?s)(FEATURES.*?)\n\)", r"\1\n    notes.feature,\n)")
        self._put("pyproject.toml", r'(\n  "app\.features\.health",)', r'\n  "app.features.notes",\1')

    def _put(self, name: str, pattern: str, text: str) -> None:
        path = self.folder / name
        changed, times = re.subn(pattern, text, path.read_text("utf-8"), count=1)
        assert times == 1, name
        path.write_text(changed, "utf-8")

    async def type(self, command: str) -> str:
        """Run the command as the page shows it; it has to succeed."""
        process = await asyncio.create_subprocess_shell(
            command.replace(".venv/bin/app", PROGRAM),
            cwd=self.folder,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(LIMIT):
            output, _ = await process.communicate()
        assert process.returncode == 0, f"$ {command}\n{output.decode()}"
        return output.decode()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its server, for as long as the block; what is given is its address."""
        log = self.folder / "serve.log"
        with log.open("w") as output:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app", "serve", "--port", "0"),
                cwd=self.folder,
                env={**self.env, "APP_LOG__FORMAT": "json"},
                stdout=output,
                stderr=output,
            )
        try:
            found = await eventually(lambda: re.findall(r'"url":"(http://[^"]+)"', log.read_text()), within=LIMIT)
            yield found[0]
        finally:
            process.kill()
            await process.wait()


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


async def test_the_page_leads_to_a_feature_that_runs(settings: TestSettings, tmp_path: Path) -> None:
    copy = Copy(tmp_path / "plinth", settings)
    new, check, curl = commands()

    files = copy.write_the_files()
    copy.write_the_two_lines()
    await copy.type("ruff check app/features/notes && ruff format --check app/features/notes && lint-imports")
    await copy.type(new)
    (revision,) = (copy.folder / "migrations" / "versions").glob("*_add_notes.py")
    await copy.type(check)
    await copy.type(".venv/bin/app migrate up")
    async with copy.serving() as url, httpx.AsyncClient(base_url=url, timeout=LIMIT) as http:
        first = json.loads(await copy.type(curl.replace("http://127.0.0.1:8000", url)))
        again = json.loads(await copy.type(curl.replace("http://127.0.0.1:8000", url)))
        read = (await http.get(f"/api/v1/notes/{first['id']}")).json()
        wrong = (await http.post("/api/v1/notes", json={"title": ""})).json()
        document = (await http.get("/openapi.json")).json()

    assert len(files) == 5
    assert f"`migrations/versions/{revision.name}`" in PAGE
    assert first["title"] == "Milk"
    assert read == first
    assert (again["code"], again["details"]) == ("CONFLICT", {"constraint": "uq_notes_title"})
    assert (wrong["code"], list(wrong["details"])) == ("VALIDATION_ERROR", ["title"])
    assert {"/api/v1/notes", "/api/v1/notes/{note_id}"} <= set(document["paths"])
