"""Values of the wrong TOML type, and bad values in each layer of text.

Each case asserts the whole message that a person reads.
"""

from __future__ import annotations

import pytest

from tests.core.settings.project import Given, Project, dotenv, options, put, said, shared

BOOLEAN = "true or false (also yes/no, on/off, 1/0)"
NAME = "1 to 40 printable ASCII characters without spaces"
ORIGINS = "origins such as https://example.com, as 'a,b' or as JSON"
SECONDS = "seconds as a plain number from 0.1 to 3600"
UP_TO_1000 = "a whole number from 1 to 1000"

CASES = {
    "a string for a whole number": (
        shared('[default.database]\npool_max = "20"'),
        said("database.pool_max", "the string '20' is not a whole number", "settings.toml [default]", UP_TO_1000),
    ),
    "a fraction in TOML for a whole number": (
        shared("[default.database]\npool_max = 2.0"),
        said("database.pool_max", "the number 2.0 is not a whole number", "settings.toml [default]", UP_TO_1000),
    ),
    "a boolean for a whole number": (
        shared("[default.database]\npool_max = true"),
        said("database.pool_max", "the boolean true is not a whole number", "settings.toml [default]", UP_TO_1000),
    ),
    "a table for a whole number": (
        shared("[default.database.pool_max]\nhigh = 20"),
        said("database.pool_max", "a table is not a whole number", "settings.toml [default]", UP_TO_1000),
    ),
    "an array for a whole number": (
        shared("[default.database]\npool_max = [20]"),
        said("database.pool_max", "an array is not a whole number", "settings.toml [default]", UP_TO_1000),
    ),
    "a string with a unit for a duration": (
        shared('[default.server]\nrequest_timeout = "30s"'),
        said(
            "server.request_timeout",
            "the string '30s' is not a number of seconds",
            "settings.toml [default]",
            SECONDS,
            "30",
        ),
    ),
    "an infinite duration in TOML": (
        shared("[default.server]\nrequest_timeout = inf"),
        said("server.request_timeout", "the number inf is not a number of seconds", "settings.toml [default]", SECONDS),
    ),
    "a duration in TOML that is not a number": (
        shared("[default.server]\nrequest_timeout = nan"),
        said("server.request_timeout", "the number nan is not a number of seconds", "settings.toml [default]", SECONDS),
    ),
    "a number for a boolean": (
        shared("[default.database]\nmigrate_at_start = 1"),
        said("database.migrate_at_start", "the number 1 is not true or false", "settings.toml [default]", BOOLEAN),
    ),
    "a number for a name": (
        shared("[default.app]\nname = 5"),
        said("app.name", "the number 5 is not a string", "settings.toml [default]", NAME),
    ),
    "a date for a name": (
        shared("[default.app]\nname = 2026-01-01"),
        said("app.name", "a date or time is not a string", "settings.toml [default]", NAME),
    ),
    "an empty string in TOML": (
        shared('[default.app]\nname = ""'),
        said("app.name", "the string is empty; leave the key out to keep the default", "settings.toml [default]", NAME),
    ),
    "a string for a list": (
        shared('[default.server]\ncors_origins = "https://a.example"'),
        said(
            "server.cors_origins",
            "the string 'https://a.example' is not an array of strings",
            "settings.toml [default]",
            ORIGINS,
        ),
    ),
    "a value in .env": (
        dotenv("APP_DATABASE__POOL_MAX=lots\n"),
        said("database.pool_max", "'lots' is not a whole number", ".env (APP_DATABASE__POOL_MAX)", UP_TO_1000),
    ),
    "a value on the command line": (
        options("database.pool_max=lots"),
        said("database.pool_max", "'lots' is not a whole number", "--set", UP_TO_1000),
    ),
    "a value in a secret file": (
        Given(files={"run/secrets/db_port": "lots\n"}),
        said(
            "database.port",
            "'lots' is not a whole number",
            "secret file ROOT/run/secrets/db_port",
            "a whole number from 1 to 65535",
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_type_is_explained(project: Project, name: str) -> None:
    given, message = CASES[name]
    put(project, given)

    page = project.complaint(*given.options, **given.env)

    assert page == f"The settings have 1 fault, so nothing was started.\n\n{message}"
