"""Names, files and options that can't be read: each case asserts the whole message that a person reads."""

from __future__ import annotations

import pytest

from tests.core.settings.project import Given, Project, dotenv, env, options, put, shared

TABLES = "accepted  [default] [development] [testing] [production]"
ENVIRONMENTS = "from      environment (APP_ENV)\n  accepted  one of development, testing, production"
UNREAD = "wrong     nothing reads a variable of this name"
NO_SETTING = "wrong     there is no such setting"


def local(text: str) -> Given:
    return Given(files={"settings.local.toml": text})


CASES = {
    # APP_ENV
    "an environment that is nearly one": (
        env(APP_ENV="prod"),
        f"APP_ENV\n  wrong     'prod' is no environment\n  {ENVIRONMENTS}\n  did you mean production?",
    ),
    "an environment in capitals": (
        env(APP_ENV="Production"),
        f"APP_ENV\n  wrong     'Production' is no environment\n  {ENVIRONMENTS}\n  did you mean production?",
    ),
    "an environment that is none": (
        env(APP_ENV="xyz"),
        f"APP_ENV\n  wrong     'xyz' is no environment\n  {ENVIRONMENTS}",
    ),
    "an empty environment": (
        env(APP_ENV=""),
        f"APP_ENV\n  wrong     '' is no environment\n  {ENVIRONMENTS}",
    ),
    # Variables that look like ours
    "a misspelled key": (
        env(APP_DATABASE__POOLMAX="20"),
        f"APP_DATABASE__POOLMAX\n  {UNREAD}\n  from      environment\n  did you mean APP_DATABASE__POOL_MAX?",
    ),
    "a misspelled section": (
        env(APP_DATABSE__POOL_MAX="20"),
        f"APP_DATABSE__POOL_MAX\n  {UNREAD}\n  from      environment\n  did you mean APP_DATABASE__POOL_MAX?",
    ),
    "two underscores after APP": (
        env(APP__DATABASE__HOST="h"),
        f"APP__DATABASE__HOST\n  {UNREAD}\n  from      environment\n  did you mean APP_DATABASE__HOST?",
    ),
    "one underscore between section and key": (
        env(APP_DATABASE_HOST="h"),
        f"APP_DATABASE_HOST\n  {UNREAD}\n  from      environment\n  did you mean APP_DATABASE__HOST?",
    ),
    "no section": (
        env(APP_PORT="9000"),
        f"APP_PORT\n  {UNREAD}\n  from      environment\n  did you mean APP_SERVER__PORT?",
    ),
    "no underscore after APP": (
        env(APPDATABASE__HOST="h"),
        f"APPDATABASE__HOST\n  {UNREAD}\n  from      environment\n  did you mean APP_DATABASE__HOST?",
    ),
    "lower case": (
        env(app_database__host="h"),
        f"app_database__host\n  {UNREAD}\n  from      environment\n  did you mean APP_DATABASE__HOST?",
    ),
    "three levels": (
        env(APP_DATABASE__POOL__MAX="20"),
        f"APP_DATABASE__POOL__MAX\n  {UNREAD}\n  from      environment\n  did you mean APP_DATABASE__POOL_MAX?",
    ),
    "a merge marker": (
        env(APP_DATABASE__dynaconf_merge="true"),
        f"APP_DATABASE__dynaconf_merge\n  {UNREAD}\n  from      environment\n  did you mean APP_DATABASE__NAME?",
    ),
    "nothing like any key": (
        env(APP_QQQQ="1"),
        f"APP_QQQQ\n  {UNREAD}\n  from      environment",
    ),
    "a misspelled key in .env": (
        dotenv("APP_SERVER__PROT=1\n"),
        f"APP_SERVER__PROT\n  {UNREAD}\n  from      .env\n  did you mean APP_SERVER__PORT?",
    ),
    "a switch of Dynaconf": (
        env(MERGE_ENABLED_FOR_DYNACONF="true"),
        "MERGE_ENABLED_FOR_DYNACONF\n"
        "  wrong     this would change how the settings files themselves are read; unset it\n"
        "  from      environment",
    ),
    "a _FILE for no key": (
        env(APP_DATABASE__PASSWRD_FILE="/x"),
        f"APP_DATABASE__PASSWRD_FILE\n  {UNREAD}\n  from      environment\n  did you mean APP_DATABASE__PASSWORD?",
    ),
    # settings.toml and settings.local.toml
    "a misspelled table": (
        shared("[prodution.server]\nport = 1"),
        f"prodution\n  wrong     there is no such table\n  from      settings.toml\n  {TABLES}\n"
        "  did you mean [production]?",
    ),
    "the global table of Dynaconf": (
        shared("[global.server]\nport = 1"),
        f"global\n  wrong     there is no such table\n  from      settings.toml\n  {TABLES}",
    ),
    "a table in capitals": (
        shared("[DEFAULT.server]\nport = 1"),
        f"DEFAULT\n  wrong     there is no such table\n  from      settings.toml\n  {TABLES}\n"
        "  did you mean [default]?",
    ),
    "a section outside the tables": (
        shared("[server]\nport = 1"),
        "server\n  wrong     a section stands inside the table of an environment\n"
        f"  from      settings.toml\n  {TABLES}\n  did you mean [default.server]?",
    ),
    "a value outside the tables": (
        shared("debug = true"),
        f"debug\n  wrong     there is no such table\n  from      settings.toml\n  {TABLES}",
    ),
    "a table given as a value": (
        shared("production = 1"),
        "production\n  wrong     production is a table of sections, not a value\n  from      settings.toml\n"
        "  accepted  [production.server] and the like",
    ),
    "a misspelled section in a table": (
        shared("[default.databse]\nport = 1"),
        "databse\n  wrong     there is no such section\n  from      settings.toml [default]\n  did you mean database?",
    ),
    "a section in capitals": (
        shared("[default.Server]\nport = 1"),
        "Server\n  wrong     there is no such section\n  from      settings.toml [default]\n  did you mean server?",
    ),
    "a section given as a value": (
        shared("[default]\ndatabase = 5"),
        "database\n  wrong     database is a section, not a value\n  from      settings.toml [default]\n"
        "  accepted  a table of keys",
    ),
    "a dotted section": (
        shared('[default]\n"database.port" = 5'),
        "database.port\n  wrong     there is no such section\n  from      settings.toml [default]\n"
        "  did you mean database?",
    ),
    "a section with underscores for a key": (
        shared("[default]\ndatabase__port = 5"),
        "database__port\n  wrong     there is no such section\n  from      settings.toml [default]\n"
        "  did you mean database?",
    ),
    "a misspelled key in a file": (
        shared("[default.database]\npoolmax = 5"),
        f"database.poolmax\n  {NO_SETTING}\n  from      settings.toml [default]\n  did you mean database.pool_max?",
    ),
    "a key in capitals in a file": (
        shared("[default.database]\nPORT = 5"),
        f"database.PORT\n  {NO_SETTING}\n  from      settings.toml [default]\n  did you mean database.port?",
    ),
    "a misspelled key for another environment": (
        shared("[production.database]\npoolmax = 5"),
        f"database.poolmax\n  {NO_SETTING}\n  from      settings.toml [production]\n  did you mean database.pool_max?",
    ),
    "a key of a section that has none": (
        shared("[default.jwt]\nissuer = 'x'"),
        "jwt.issuer\n  wrong     section jwt has no settings in this version\n  from      settings.toml [default]",
    ),
    "a merge key of Dynaconf in a section": (
        shared("[default.database]\ndynaconf_merge = true"),
        f"database.dynaconf_merge\n  {NO_SETTING}\n  from      settings.toml [default]\n  did you mean database.name?",
    ),
    "a merge key of Dynaconf in a table": (
        shared("[default]\ndynaconf_merge = true"),
        "dynaconf_merge\n  wrong     there is no such section\n  from      settings.toml [default]",
    ),
    "an include key of Dynaconf": (
        shared("[default]\ndynaconf_include = ['more.toml']"),
        "dynaconf_include\n  wrong     there is no such section\n  from      settings.toml [default]",
    ),
    "a bare file with a misspelled section": (
        local("[server]\nport = 1\n[databse]\nport = 1"),
        "databse\n  wrong     there is no such section\n  from      settings.local.toml\n  did you mean database?",
    ),
    "a bare section given as a value": (
        local("database = 5"),
        "database\n  wrong     database is a section, not a value\n  from      settings.local.toml\n"
        "  accepted  a table of keys",
    ),
    "bare sections beside tables": (
        local("[default.server]\nport = 1\n[database]\nport = 1"),
        "database\n  wrong     a section stands inside the table of an environment\n"
        f"  from      settings.local.toml\n  {TABLES}\n  did you mean [default.database]?",
    ),
    "broken TOML": (
        shared("[default\n"),
        "settings.toml\n"
        "  wrong     this is not TOML: Expected ']' at the end of a table declaration (at line 1, column 9)\n"
        "  from      settings.toml\n  accepted  a TOML file in UTF-8",
    ),
    "one key twice in TOML": (
        shared("[default.server]\nport = 1\nport = 2\n"),
        "settings.toml\n  wrong     this is not TOML: Cannot overwrite a value (at line 3, column 9)\n"
        "  from      settings.toml\n  accepted  a TOML file in UTF-8",
    ),
    "TOML that is not UTF-8": (
        Given(files={"settings.local.toml": b'[app]\nname = "caf\xe9"'}),
        "settings.local.toml\n  wrong     byte 17 is not UTF-8\n  from      settings.local.toml\n"
        "  accepted  a TOML file in UTF-8",
    ),
    # .env
    "a line that can't be read": (
        dotenv('APP_ENV=testing\nDB_NAME="unclosed\n'),
        ".env line 2\n  wrong     this line can't be read\n  from      .env\n"
        "  accepted  NAME=value, the value in quotes if it holds spaces or #",
    ),
    "a name without a value": (
        dotenv("APP_ENV=testing\n\n# a comment\nDB_NAME\n"),
        ".env line 4\n  wrong     DB_NAME has no '=' after it\n  from      .env\n  accepted  NAME=value",
    ),
    "a name twice": (
        dotenv("DB_NAME=one\nDB_USER=me\nDB_NAME=one\n"),
        ".env line 3\n  wrong     DB_NAME was already set in line 1\n  from      .env\n  accepted  each name once",
    ),
    "a .env that is not UTF-8": (
        dotenv(b"DB_NAME=caf\xe9\n"),
        ".env\n  wrong     byte 11 is not UTF-8\n  from      .env\n  accepted  a text file in UTF-8",
    ),
    # The command line
    "an option without an equals sign": (
        options("database.pool_max"),
        "--set\n  wrong     'database.pool_max' has no '='\n  from      --set\n  accepted  --set section.key=value",
    ),
    "an option for no key": (
        options("database.poolmax=3"),
        f"database.poolmax\n  {NO_SETTING}\n  from      --set\n  did you mean database.pool_max?",
    ),
    "an option without a section": (
        options("port=3"),
        f"port\n  {NO_SETTING}\n  from      --set\n  did you mean server.port?",
    ),
    "an option with a variable's name": (
        options("APP_SERVER__PORT=3"),
        f"APP_SERVER__PORT\n  {NO_SETTING}\n  from      --set\n  did you mean server.port?",
    ),
    "one option twice": (
        options("server.port=3", "server.port=4"),
        "server.port\n  wrong     this is set twice, to different values\n  from      --set\n  accepted  one of them",
    ),
    # Two names for one key in one layer
    "an alias and the key's own name": (
        env(PORT="1", APP_SERVER__PORT="2"),
        "server.port\n  wrong     environment (PORT) sets this too, to another value\n"
        "  from      environment (APP_SERVER__PORT)\n  accepted  one of the two",
    ),
    "two aliases": (
        dotenv("PORT=1\nSERVER_PORT=2\n"),
        "server.port\n  wrong     .env (SERVER_PORT) sets this too, to another value\n  from      .env (PORT)\n"
        "  accepted  one of the two",
    ),
    "two passwords, neither of them shown": (
        env(DB_PASSWORD="hunter2", APP_DATABASE__PASSWORD="hunter3"),
        "database.password\n  wrong     environment (DB_PASSWORD) sets this too, to another value\n"
        "  from      environment (APP_DATABASE__PASSWORD)\n  accepted  one of the two",
    ),
    "a URL beside a part of it": (
        env(DATABASE_URL="postgresql://me@h/n", DB_HOST="h"),
        "database.host\n  wrong     environment (DATABASE_URL) sets this too, as a part of database.url\n"
        "  from      environment (DB_HOST)\n  accepted  the URL or its parts, not both",
    ),
    "a URL beside a part of it in one table": (
        shared('[default.database]\nurl = "postgresql:///one"\nname = "two"'),
        "database.name\n  wrong     settings.toml [default] sets this too, as a part of database.url\n"
        "  from      settings.toml [default]\n  accepted  the URL or its parts, not both",
    ),
    "two URLs": (
        env(DATABASE_URL="postgresql://a/n", APP_DATABASE__URL="postgresql://b/n"),
        "database.url\n  wrong     environment (DATABASE_URL) sets this too, to another value\n"
        "  from      environment (APP_DATABASE__URL)\n  accepted  one of the two",
    ),
    # Values that are sound alone and wrong together
    "a pool that keeps more than it may open": (
        env(APP_DATABASE__POOL_MIN="20"),
        "database.pool_min\n  wrong     20 is more than database.pool_max, which is 10 (default): "
        "a pool can't keep more connections than it may open\n"
        "  from      environment (APP_DATABASE__POOL_MIN)\n  accepted  at most 10",
    ),
    "a lock timeout that never strikes": (
        shared("[default.database]\nlock_timeout = 20\nstatement_timeout = 15.5"),
        "database.lock_timeout\n  wrong     20 is more than database.statement_timeout, which is 15.5 "
        "(settings.toml [default]): the statement would be ended first\n"
        "  from      settings.toml [default]\n  accepted  at most 15.5",
    ),
    "a lock timeout of migrations that never strikes": (
        options("database.migration_statement_timeout=2"),
        "database.migration_lock_timeout\n  wrong     3 is more than database.migration_statement_timeout, "
        "which is 2 (--set): the statement would be ended first\n  from      default\n  accepted  at most 2",
    ),
    "migrations at the start of production": (
        env(APP_ENV="production", DB_PASSWORD="p", APP_DATABASE__MIGRATE_AT_START="yes"),
        "database.migrate_at_start\n  wrong     production never migrates at start: several servers would, "
        "and a failed migration would stop them all\n"
        "  from      environment (APP_DATABASE__MIGRATE_AT_START)\n"
        "  accepted  false in production; run `app migrate up` before the servers start",
    ),
    "a secret that production lacks": (
        env(APP_ENV="production"),
        "database.password\n  wrong     production needs this secret, and nothing sets it\n"
        "  from      no layer\n"
        "  accepted  APP_DATABASE__PASSWORD, APP_DATABASE__PASSWORD_FILE or a file in /run/secrets",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_name_or_file_that_is_not_read_is_explained(project: Project, name: str) -> None:
    given, message = CASES[name]
    put(project, given)

    page = project.complaint(*given.options, **given.env)

    assert page == f"The settings have 1 fault, so nothing was started.\n\n{message}"


def test_a_missing_shared_file_is_explained(project: Project) -> None:
    (project.root / "settings.toml").unlink()

    page = project.complaint()

    assert page.endswith(
        "settings.toml\n  wrong     the file is missing from ROOT\n  from      settings.toml\n"
        "  accepted  a TOML file in UTF-8"
    )


@pytest.mark.parametrize("name", ["settings.toml", "settings.local.toml", ".env"])
def test_a_file_that_can_not_be_opened_is_explained(project: Project, name: str) -> None:
    path = project.root / name
    path.unlink(missing_ok=True)
    path.symlink_to(path)  # fails to open for root too, unlike a file without permissions

    page = project.complaint()

    assert f"{name}\n  wrong     the file can't be read: Too many levels of symbolic links\n" in page


def test_every_fault_of_every_layer_is_on_one_page(project: Project) -> None:
    project.write("settings.toml", "[default.database]\npoolmax = 5\npool_max = '7'\n[prodution]\n")
    project.write("settings.local.toml", "[server]\nport = true")
    project.write(".env", "APP_REDIS__TIMEOUT=fast\nbroken\n")
    project.mount("database_password", "")

    page = project.complaint("x", "app.name=a b", APP_ENV="prod", LOG_LEVEL="loud", APP__X="1")

    assert page.startswith("The settings have 12 faults, so nothing was started.\n\n")
    assert [entry.splitlines()[0] for entry in page.split("\n\n")[1:]] == [
        ".env line 2",
        "APP_ENV",
        "database.poolmax",
        "prodution",
        "database.pool_max",
        "server.port",
        "redis.timeout",
        "APP__X",
        "log.level",
        "database.password",
        "--set",
        "app.name",
    ]


def test_a_file_that_can_not_be_read_is_not_followed_by_guesses_about_its_content(project: Project) -> None:
    project.write("settings.local.toml", "[database\npassword = 'p'")

    page = project.complaint(APP_ENV="production")

    assert "database.password" not in page
    assert page.startswith("The settings have 1 fault,")


def test_a_fault_in_a_weak_layer_counts_even_where_a_stronger_one_is_sound(project: Project) -> None:
    project.write(".env", "APP_DATABASE__POOL_MAX=lots\n")

    page = project.complaint(APP_DATABASE__POOL_MAX="20")

    assert "from      .env (APP_DATABASE__POOL_MAX)" in page


def test_an_unknown_name_that_is_not_ours_is_nobodys_fault(project: Project) -> None:
    settings = project.load(
        APPDATA="x", APPIMAGE="y", APPDIR="z", APPLICATION="w", HOSTNAME="v", POSTGRES_PASSWORD="u", DBPORT="t"
    )

    assert settings.notices == ()
