"""Names in TOML files, lines of .env and options that can not be read.

Each case asserts the whole message that a person reads.
"""

from __future__ import annotations

import pytest

from tests.core.settings.project import Given, Project, dotenv, local, options, put, said, shared

NO_SECTION = "there is no such section"
NO_SETTING = "there is no such setting"
NO_TABLE = "there is no such table"
TABLES = "[default] [development] [testing] [production]"
TOML_FILE = "a TOML file in UTF-8"

CASES = {
    "a misspelled table": (
        shared("[prodution.server]\nport = 1"),
        said("prodution", NO_TABLE, "settings.toml", TABLES, "[production]"),
    ),
    "the global table of Dynaconf": (
        shared("[global.server]\nport = 1"),
        said("global", NO_TABLE, "settings.toml", TABLES),
    ),
    "a table in capitals": (
        shared("[DEFAULT.server]\nport = 1"),
        said("DEFAULT", NO_TABLE, "settings.toml", TABLES, "[default]"),
    ),
    "a section outside the tables": (
        shared("[server]\nport = 1"),
        said(
            "server", "a section stands inside the table of an environment", "settings.toml", TABLES, "[default.server]"
        ),
    ),
    "a value outside the tables": (
        shared("debug = true"),
        said("debug", NO_TABLE, "settings.toml", TABLES),
    ),
    "a table given as a value": (
        shared("production = 1"),
        said(
            "production",
            "production is a table of sections, not a value",
            "settings.toml",
            "[production.server] and the like",
        ),
    ),
    "a misspelled section in a table": (
        shared("[default.databse]\nport = 1"),
        said("databse", NO_SECTION, "settings.toml [default]", "", "database"),
    ),
    "a section in capitals": (
        shared("[default.Server]\nport = 1"),
        said("Server", NO_SECTION, "settings.toml [default]", "", "server"),
    ),
    "a section given as a value": (
        shared("[default]\ndatabase = 5"),
        said("database", "database is a section, not a value", "settings.toml [default]", "a table of keys"),
    ),
    "a dotted section": (
        shared('[default]\n"database.port" = 5'),
        said("database.port", NO_SECTION, "settings.toml [default]", "", "database"),
    ),
    "a section with underscores for a key": (
        shared("[default]\ndatabase__port = 5"),
        said("database__port", NO_SECTION, "settings.toml [default]", "", "database"),
    ),
    "a misspelled key in a file": (
        shared("[default.database]\npoolmax = 5"),
        said("database.poolmax", NO_SETTING, "settings.toml [default]", "", "database.pool_max"),
    ),
    "a key in capitals in a file": (
        shared("[default.database]\nPORT = 5"),
        said("database.PORT", NO_SETTING, "settings.toml [default]", "", "database.port"),
    ),
    "a misspelled key for another environment": (
        shared("[production.database]\npoolmax = 5"),
        said("database.poolmax", NO_SETTING, "settings.toml [production]", "", "database.pool_max"),
    ),
    "a key of a section that has none": (
        shared("[default.csrf]\nname = 'x'"),
        said("csrf.name", "section csrf has no settings in this version", "settings.toml [default]"),
    ),
    "a merge key of Dynaconf in a section": (
        shared("[default.database]\ndynaconf_merge = true"),
        said("database.dynaconf_merge", NO_SETTING, "settings.toml [default]", "", "database.name"),
    ),
    "a merge key of Dynaconf in a table": (
        shared("[default]\ndynaconf_merge = true"),
        said("dynaconf_merge", NO_SECTION, "settings.toml [default]"),
    ),
    "an include key of Dynaconf": (
        shared("[default]\ndynaconf_include = ['more.toml']"),
        said("dynaconf_include", NO_SECTION, "settings.toml [default]"),
    ),
    "a bare file with a misspelled section": (
        local("[server]\nport = 1\n[databse]\nport = 1"),
        said("databse", NO_SECTION, "settings.local.toml", "", "database"),
    ),
    "a bare section given as a value": (
        local("database = 5"),
        said("database", "database is a section, not a value", "settings.local.toml", "a table of keys"),
    ),
    "bare sections beside tables": (
        local("[default.server]\nport = 1\n[database]\nport = 1"),
        said(
            "database",
            "a section stands inside the table of an environment",
            "settings.local.toml",
            TABLES,
            "[default.database]",
        ),
    ),
    "broken TOML": (
        shared("[default\n"),
        said(
            "settings.toml",
            "this is not TOML: Expected ']' at the end of a table declaration (at line 1, column 9)",
            "settings.toml",
            TOML_FILE,
        ),
    ),
    "one key twice in TOML": (
        shared("[default.server]\nport = 1\nport = 2\n"),
        said(
            "settings.toml",
            "this is not TOML: Cannot overwrite a value (at line 3, column 9)",
            "settings.toml",
            TOML_FILE,
        ),
    ),
    "TOML that is not UTF-8": (
        Given(files={"settings.local.toml": b'[app]\nname = "caf\xe9"'}),
        said("settings.local.toml", "byte 17 is not UTF-8", "settings.local.toml", TOML_FILE),
    ),
    "a line that can't be read": (
        dotenv('APP_ENV=testing\nDB_NAME="unclosed\n'),
        said(
            ".env line 2", "this line can't be read", ".env", "NAME=value, the value in quotes if it holds spaces or #"
        ),
    ),
    "a name without a value": (
        dotenv("APP_ENV=testing\n\n# a comment\nDB_NAME\n"),
        said(".env line 4", "DB_NAME has no '=' after it", ".env", "NAME=value"),
    ),
    "a name twice": (
        dotenv("DB_NAME=one\nDB_USER=me\nDB_NAME=one\n"),
        said(".env line 3", "DB_NAME was already set in line 1", ".env", "each name once"),
    ),
    "a .env that is not UTF-8": (
        dotenv(b"DB_NAME=caf\xe9\n"),
        said(".env", "byte 11 is not UTF-8", ".env", "a text file in UTF-8"),
    ),
    "an option without an equals sign": (
        options("database.pool_max"),
        said("--set", "'database.pool_max' has no '='", "--set", "--set section.key=value"),
    ),
    "an option for no key": (
        options("database.poolmax=3"),
        said("database.poolmax", NO_SETTING, "--set", "", "database.pool_max"),
    ),
    "an option without a section": (
        options("port=3"),
        said("port", NO_SETTING, "--set", "", "server.port"),
    ),
    "an option with a variable's name": (
        options("APP_SERVER__PORT=3"),
        said("APP_SERVER__PORT", NO_SETTING, "--set", "", "server.port"),
    ),
    "one option twice": (
        options("server.port=3", "server.port=4"),
        said("server.port", "this is set twice, to different values", "--set", "one of them"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_name_in_a_file_that_nothing_reads_is_explained(project: Project, name: str) -> None:
    given, message = CASES[name]
    put(project, given)

    page = project.complaint(*given.options, **given.env)

    assert page == f"The settings have 1 fault, so nothing was started.\n\n{message}"
