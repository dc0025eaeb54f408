"""Numbers, durations, booleans and words that a layer may not give.

Each case asserts the whole message that a person reads.
"""

from __future__ import annotations

import pytest

from tests.core.settings.project import Project, env, put, said

BOOLEAN = "true or false (also yes/no, on/off, 1/0)"
EMPTY = "the value is empty; leave the name out to keep the default"
LOOPS = "one of auto, asyncio, uvloop"
SECONDS = "seconds as a plain number from 0.1 to 3600"
UP_TO_1000 = "a whole number from 1 to 1000"

CASES = {
    "a word for a number": (
        env(APP_DATABASE__POOL_MAX="lots"),
        said("database.pool_max", "'lots' is not a whole number", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a word for a share": (
        env(APP_TELEMETRY__SAMPLE="all"),
        said(
            "telemetry.sample",
            "'all' is not a number from 0 to 1",
            "environment (APP_TELEMETRY__SAMPLE)",
            "a number from 0 to 1",
        ),
    ),
    "a share above the whole": (
        env(APP_TELEMETRY__SAMPLE="1.5"),
        said(
            "telemetry.sample",
            "1.5 is above the bounds",
            "environment (APP_TELEMETRY__SAMPLE)",
            "a number from 0 to 1",
        ),
    ),
    "a number with a unit": (
        env(APP_DATABASE__POOL_MAX="20 connections"),
        said(
            "database.pool_max",
            "'20 connections' is not a whole number",
            "environment (APP_DATABASE__POOL_MAX)",
            UP_TO_1000,
        ),
    ),
    "a number with an underscore": (
        env(APP_DATABASE__POOL_MAX="1_000"),
        said("database.pool_max", "'1_000' is not a whole number", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a number with an exponent": (
        env(APP_DATABASE__POOL_MAX="1e2"),
        said("database.pool_max", "'1e2' is not a whole number", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a number with a sign": (
        env(APP_DATABASE__POOL_MAX="+5"),
        said("database.pool_max", "'+5' is not a whole number", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a number with a space before it": (
        env(APP_DATABASE__POOL_MAX=" 20"),
        said("database.pool_max", "' 20' is not a whole number", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "digits of another script": (
        env(APP_DATABASE__POOL_MAX="٢٠"),
        said("database.pool_max", "'٢٠' is not a whole number", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a fraction for a whole number": (
        env(APP_DATABASE__POOL_MAX="2.5"),
        said("database.pool_max", "'2.5' is not a whole number", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a number below the bounds": (
        env(APP_DATABASE__POOL_MAX="0"),
        said("database.pool_max", "0 is below the bounds", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a number above the bounds": (
        env(APP_DATABASE__POOL_MAX="1001"),
        said("database.pool_max", "1001 is above the bounds", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a negative number": (
        env(APP_DATABASE__POOL_MAX="-1"),
        said("database.pool_max", "-1 is below the bounds", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a number of a thousand digits": (
        env(APP_DATABASE__POOL_MAX="9" * 1000),
        said(
            "database.pool_max",
            "'999999999999999999999999999999999999999999999999999999999999...' is not a whole number",
            "environment (APP_DATABASE__POOL_MAX)",
            UP_TO_1000,
        ),
    ),
    "a port above the last one": (
        env(PORT="65536"),
        said("server.port", "65536 is above the bounds", "environment (PORT)", "a whole number from 0 to 65535"),
    ),
    "a number as text with a newline": (
        env(APP_DATABASE__POOL_MAX="20\n"),
        said("database.pool_max", "'20\\n' is not a whole number", "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "an empty number": (
        env(APP_DATABASE__POOL_MAX=""),
        said("database.pool_max", EMPTY, "environment (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a duration with a unit": (
        env(APP_SERVER__REQUEST_TIMEOUT="30s"),
        said(
            "server.request_timeout",
            "'30s' is not a number of seconds",
            "environment (APP_SERVER__REQUEST_TIMEOUT)",
            SECONDS,
            "30",
        ),
    ),
    "a duration in milliseconds": (
        env(APP_SERVER__REQUEST_TIMEOUT="1500 ms"),
        said(
            "server.request_timeout",
            "'1500 ms' is not a number of seconds",
            "environment (APP_SERVER__REQUEST_TIMEOUT)",
            SECONDS,
            "1.5",
        ),
    ),
    "a duration in minutes": (
        env(REQUEST_TIMEOUT_SECS="2m"),
        said(
            "server.request_timeout",
            "'2m' is not a number of seconds",
            "environment (REQUEST_TIMEOUT_SECS)",
            SECONDS,
            "120",
        ),
    ),
    "a negative duration": (
        env(APP_SERVER__REQUEST_TIMEOUT="-1"),
        said("server.request_timeout", "-1 is below the bounds", "environment (APP_SERVER__REQUEST_TIMEOUT)", SECONDS),
    ),
    "a duration that is not a number": (
        env(APP_SERVER__REQUEST_TIMEOUT="nan"),
        said(
            "server.request_timeout",
            "'nan' is not a number of seconds",
            "environment (APP_SERVER__REQUEST_TIMEOUT)",
            SECONDS,
        ),
    ),
    "an infinite duration": (
        env(APP_SERVER__REQUEST_TIMEOUT="inf"),
        said(
            "server.request_timeout",
            "'inf' is not a number of seconds",
            "environment (APP_SERVER__REQUEST_TIMEOUT)",
            SECONDS,
        ),
    ),
    "a duration above the bounds": (
        env(APP_SERVER__REQUEST_TIMEOUT="3600.5"),
        said(
            "server.request_timeout", "3600.5 is above the bounds", "environment (APP_SERVER__REQUEST_TIMEOUT)", SECONDS
        ),
    ),
    "a word that is no boolean": (
        env(APP_DATABASE__MIGRATE_AT_START="maybe"),
        said(
            "database.migrate_at_start",
            "'maybe' is neither true nor false",
            "environment (APP_DATABASE__MIGRATE_AT_START)",
            BOOLEAN,
        ),
    ),
    "an empty boolean": (
        env(APP_DATABASE__MIGRATE_AT_START=""),
        said("database.migrate_at_start", EMPTY, "environment (APP_DATABASE__MIGRATE_AT_START)", BOOLEAN),
    ),
    "a word that is no choice": (
        env(APP_SERVER__EVENT_LOOP="uvlop"),
        said(
            "server.event_loop",
            "'uvlop' is not one of the words",
            "environment (APP_SERVER__EVENT_LOOP)",
            LOOPS,
            "uvloop",
        ),
    ),
    "a choice in capitals": (
        env(APP_SERVER__EVENT_LOOP="AUTO"),
        said(
            "server.event_loop", "'AUTO' is not one of the words", "environment (APP_SERVER__EVENT_LOOP)", LOOPS, "auto"
        ),
    ),
    "a DB_SSL that is no mode": (
        env(DB_SSL="allow"),
        said(
            "database.sslmode",
            "'allow' is not one of the words",
            "environment (DB_SSL)",
            "one of disable, prefer, require, verify-ca, verify-full",
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_number_or_word_is_explained(project: Project, name: str) -> None:
    given, message = CASES[name]
    put(project, given)

    page = project.complaint(*given.options, **given.env)

    assert page == f"The settings have 1 fault, so nothing was started.\n\n{message}"
