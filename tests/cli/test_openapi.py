"""`app openapi`: the document that the server serves, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
from click.testing import CliRunner, Result
from schemathesis.specs.openapi.definitions import OPENAPI_31

from app.cli import cli
from tests.harness.fixtures import StartApp


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_it_prints_a_valid_document_where_no_service_answers() -> None:
    result = run("--set", "database.port=1", "--set", "redis.url=redis://127.0.0.1:1/0", "openapi")

    document = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    jsonschema_rs.validate(OPENAPI_31, document)
    assert "/health/ready" in document["paths"]


def test_it_writes_a_file(tmp_path: Path) -> None:
    file = tmp_path / "openapi.json"

    result = run("openapi", "--output", str(file))

    assert (result.exit_code, result.stdout) == (0, "")
    assert file.read_text("utf-8") == run("openapi").stdout


async def test_the_server_serves_the_same(app_process: StartApp) -> None:
    in_development = "websocket.anonymous=true"  # where the command runs here
    app = await app_process(in_development, module="tests.cli.nothing_more")

    served = (await app.http.get("/openapi.json")).json()

    assert served == json.loads(run("openapi").stdout)
