"""A secret of the settings is masked in every line, in whatever form it stands there."""

from __future__ import annotations

import io
import json
import logging
from urllib.parse import quote

import pytest
import structlog

from app.core.settings.secret import MASK
from app.core.telemetry import configure_logging, parse_levels, secrets_of
from tests.core.restored import restored_logging  # noqa: F401  (a fixture that is always used)
from tests.harness.settings import TestSettings

PLAIN = "canary-plain-1"
ODD = 'canary "odd"\\\n/ü&'


@pytest.mark.parametrize("secret", [PLAIN, ODD])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_is_masked_in_every_form(secret: str, as_json: bool) -> None:
    stream = io.StringIO()
    configure_logging(parse_levels("info"), json=as_json, stream=stream, secrets=[secret])
    try:
        raise RuntimeError(f"refused: {secret} and {secret!r}")
    except RuntimeError as error:
        structlog.get_logger("app.x").error("failed", exc_info=error, url=f"redis://:{quote(secret, safe='')}@host")
    structlog.get_logger("app.x").info("said", text=secret)
    logging.getLogger("some.library").warning("said %s", {"key": secret})

    lines = stream.getvalue()
    assert "canary" not in lines
    assert lines.count(MASK) == 5
    assert not as_json or len([json.loads(line) for line in lines.splitlines()]) == 3


def test_a_short_secret_is_a_word_that_stays() -> None:
    stream = io.StringIO()
    configure_logging(parse_levels("info"), json=True, stream=stream, secrets=["app"])

    structlog.get_logger("app.x").info("said")

    assert json.loads(stream.getvalue())["logger"] == "app.x"


def test_every_secret_of_the_settings_is_known(settings: TestSettings) -> None:
    secrets = secrets_of(
        settings("database.password=canary-database", "redis.url=redis://user:canary%2Fredis@127.0.0.1/0")
    )

    assert secrets >= {"canary-database", "canary%2Fredis", "canary/redis"}
    assert "user" not in secrets
