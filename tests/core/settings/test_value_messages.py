"""Values that a layer may not give: each case asserts the whole message that a person reads."""

from __future__ import annotations

import pytest

from tests.core.settings.project import Given, Project, dotenv, env, options, put, shared

POOL_MAX = "from      environment (APP_DATABASE__POOL_MAX)\n  accepted  a whole number from 1 to 1000"
TIMEOUT = "from      environment (APP_SERVER__REQUEST_TIMEOUT)\n  accepted  seconds as a plain number from 0.1 to 3600"
TOML_POOL_MAX = "from      settings.toml [default]\n  accepted  a whole number from 1 to 1000"
TOML_TIMEOUT = "from      settings.toml [default]\n  accepted  seconds as a plain number from 0.1 to 3600"
FLAG = "from      environment (APP_DATABASE__MIGRATE_AT_START)\n  accepted  true or false (also yes/no, on/off, 1/0)"
CORS = "from      environment (CORS_ORIGINS)\n  accepted  origins such as https://example.com, as 'a,b' or as JSON"
LEVELS = (
    "from      environment (LOG_LEVEL)\n"
    "  accepted  a level, or 'info,app=debug,databases=warning'; levels are debug info warning error critical"
)
EMPTY = "the value is empty; leave the name out to keep the default"

CASES = {
    # Whole numbers
    "a word for a number": (
        env(APP_DATABASE__POOL_MAX="lots"),
        f"database.pool_max\n  wrong     'lots' is not a whole number\n  {POOL_MAX}",
    ),
    "a number with a unit": (
        env(APP_DATABASE__POOL_MAX="20 connections"),
        f"database.pool_max\n  wrong     '20 connections' is not a whole number\n  {POOL_MAX}",
    ),
    "a number with an underscore": (
        env(APP_DATABASE__POOL_MAX="1_000"),
        f"database.pool_max\n  wrong     '1_000' is not a whole number\n  {POOL_MAX}",
    ),
    "a number with an exponent": (
        env(APP_DATABASE__POOL_MAX="1e2"),
        f"database.pool_max\n  wrong     '1e2' is not a whole number\n  {POOL_MAX}",
    ),
    "a number with a sign": (
        env(APP_DATABASE__POOL_MAX="+5"),
        f"database.pool_max\n  wrong     '+5' is not a whole number\n  {POOL_MAX}",
    ),
    "a number with a space before it": (
        env(APP_DATABASE__POOL_MAX=" 20"),
        f"database.pool_max\n  wrong     ' 20' is not a whole number\n  {POOL_MAX}",
    ),
    "digits of another script": (
        env(APP_DATABASE__POOL_MAX="٢٠"),
        f"database.pool_max\n  wrong     '٢٠' is not a whole number\n  {POOL_MAX}",
    ),
    "a fraction for a whole number": (
        env(APP_DATABASE__POOL_MAX="2.5"),
        f"database.pool_max\n  wrong     '2.5' is not a whole number\n  {POOL_MAX}",
    ),
    "a number below the bounds": (
        env(APP_DATABASE__POOL_MAX="0"),
        f"database.pool_max\n  wrong     0 is below the bounds\n  {POOL_MAX}",
    ),
    "a number above the bounds": (
        env(APP_DATABASE__POOL_MAX="1001"),
        f"database.pool_max\n  wrong     1001 is above the bounds\n  {POOL_MAX}",
    ),
    "a negative number": (
        env(APP_DATABASE__POOL_MAX="-1"),
        f"database.pool_max\n  wrong     -1 is below the bounds\n  {POOL_MAX}",
    ),
    "a number of a thousand digits": (
        env(APP_DATABASE__POOL_MAX="9" * 1000),
        f"database.pool_max\n  wrong     '{'9' * 60}...' is not a whole number\n  {POOL_MAX}",
    ),
    "a port above the last one": (
        env(PORT="65536"),
        "server.port\n  wrong     65536 is above the bounds\n  from      environment (PORT)\n"
        "  accepted  a whole number from 0 to 65535",
    ),
    "a number as text with a newline": (
        env(APP_DATABASE__POOL_MAX="20\n"),
        f"database.pool_max\n  wrong     '20\\n' is not a whole number\n  {POOL_MAX}",
    ),
    "an empty number": (
        env(APP_DATABASE__POOL_MAX=""),
        f"database.pool_max\n  wrong     {EMPTY}\n  {POOL_MAX}",
    ),
    # Durations
    "a duration with a unit": (
        env(APP_SERVER__REQUEST_TIMEOUT="30s"),
        f"server.request_timeout\n  wrong     '30s' is not a number of seconds\n  {TIMEOUT}\n  did you mean 30?",
    ),
    "a duration in milliseconds": (
        env(APP_SERVER__REQUEST_TIMEOUT="1500 ms"),
        f"server.request_timeout\n  wrong     '1500 ms' is not a number of seconds\n  {TIMEOUT}\n  did you mean 1.5?",
    ),
    "a duration in minutes": (
        env(REQUEST_TIMEOUT_SECS="2m"),
        "server.request_timeout\n  wrong     '2m' is not a number of seconds\n"
        "  from      environment (REQUEST_TIMEOUT_SECS)\n"
        "  accepted  seconds as a plain number from 0.1 to 3600\n  did you mean 120?",
    ),
    "a negative duration": (
        env(APP_SERVER__REQUEST_TIMEOUT="-1"),
        f"server.request_timeout\n  wrong     -1 is below the bounds\n  {TIMEOUT}",
    ),
    "a duration that is not a number": (
        env(APP_SERVER__REQUEST_TIMEOUT="nan"),
        f"server.request_timeout\n  wrong     'nan' is not a number of seconds\n  {TIMEOUT}",
    ),
    "an infinite duration": (
        env(APP_SERVER__REQUEST_TIMEOUT="inf"),
        f"server.request_timeout\n  wrong     'inf' is not a number of seconds\n  {TIMEOUT}",
    ),
    "a duration above the bounds": (
        env(APP_SERVER__REQUEST_TIMEOUT="3600.5"),
        f"server.request_timeout\n  wrong     3600.5 is above the bounds\n  {TIMEOUT}",
    ),
    # Booleans and words
    "a word that is no boolean": (
        env(APP_DATABASE__MIGRATE_AT_START="maybe"),
        f"database.migrate_at_start\n  wrong     'maybe' is neither true nor false\n  {FLAG}",
    ),
    "an empty boolean": (
        env(APP_DATABASE__MIGRATE_AT_START=""),
        f"database.migrate_at_start\n  wrong     {EMPTY}\n  {FLAG}",
    ),
    "a word that is no choice": (
        env(APP_SERVER__EVENT_LOOP="uvlop"),
        "server.event_loop\n  wrong     'uvlop' is not one of the words\n"
        "  from      environment (APP_SERVER__EVENT_LOOP)\n"
        "  accepted  one of auto, asyncio, uvloop\n  did you mean uvloop?",
    ),
    "a choice in capitals": (
        env(APP_SERVER__EVENT_LOOP="AUTO"),
        "server.event_loop\n  wrong     'AUTO' is not one of the words\n"
        "  from      environment (APP_SERVER__EVENT_LOOP)\n"
        "  accepted  one of auto, asyncio, uvloop\n  did you mean auto?",
    ),
    "a DB_SSL that is no mode": (
        env(DB_SSL="allow"),
        "database.sslmode\n  wrong     'allow' is not one of the words\n  from      environment (DB_SSL)\n"
        "  accepted  one of disable, prefer, require, verify-ca, verify-full",
    ),
    # Text
    "a host with a scheme": (
        env(SERVER_HOST="http://0.0.0.0"),
        "server.host\n  wrong     'http://0.0.0.0' is not a host\n  from      environment (SERVER_HOST)\n"
        "  accepted  a host name or an IP address",
    ),
    "an empty host": (
        env(DB_HOST=""),
        f"database.host\n  wrong     {EMPTY}\n  from      environment (DB_HOST)\n"
        "  accepted  a host name or an IP address, or the folder of a Unix socket",
    ),
    "a name with a space": (
        options("app.name=my app"),
        "app.name\n  wrong     'my app' holds a character that is not allowed\n  from      --set\n"
        "  accepted  1 to 40 printable ASCII characters without spaces",
    ),
    "a name that is too long": (
        options(f"app.name={'n' * 41}"),
        f"app.name\n  wrong     '{'n' * 41}' has 41 characters\n  from      --set\n"
        "  accepted  1 to 40 printable ASCII characters without spaces",
    ),
    "a role that PostgreSQL would cut short": (
        env(DB_USER="ü" * 32),
        f"database.user\n  wrong     '{'ü' * 32}' is not a name that PostgreSQL keeps as it is\n"
        "  from      environment (DB_USER)\n  accepted  1 to 63 bytes of printable text",
    ),
    "bytes that are not UTF-8": (
        env(DB_NAME="caf\udce9"),
        "database.name\n  wrong     the value is not text in UTF-8\n  from      environment (DB_NAME)\n"
        "  accepted  1 to 63 bytes of printable text",
    ),
    # Secrets: the value is never repeated
    "an empty password": (
        env(DB_PASSWORD=""),
        f"database.password\n  wrong     {EMPTY}\n  from      environment (DB_PASSWORD)\n"
        "  accepted  any text without NUL characters",
    ),
    "a number for a password": (
        Given(files={"settings.local.toml": "[database]\npassword = 12345"}),
        "database.password\n  wrong     a number is not a string; put it in quotes\n"
        "  from      settings.local.toml\n  accepted  any text without NUL characters",
    ),
    "a boolean for a password": (
        Given(files={"settings.local.toml": "[database]\npassword = true"}),
        "database.password\n  wrong     a boolean is not a string; put it in quotes\n"
        "  from      settings.local.toml\n  accepted  any text without NUL characters",
    ),
    "a password under version control": (
        shared('[default.database]\npassword = "hunter2"'),
        "database.password\n  wrong     a secret has no place in a file under version control\n"
        "  from      settings.toml [default]\n  accepted  any text without NUL characters\n"
        "  did you mean settings.local.toml or .env?",
    ),
    "a URL with a password under version control": (
        shared('[default.redis]\nurl = "redis://:hunter2@cache/0"'),
        "redis.url\n  wrong     a secret has no place in a file under version control\n"
        "  from      settings.toml [default]\n"
        "  accepted  redis://user:password@host:port/0, rediss:// for TLS, or unix:///path/to/socket?db=0\n"
        "  did you mean settings.local.toml or .env?",
    ),
    # Log levels
    "a level that does not exist": (
        env(LOG_LEVEL="verbose"),
        f"log.level\n  wrong     'verbose' is not a level\n  {LEVELS}",
    ),
    "a level that is nearly one": (
        env(LOG_LEVEL="info,app=debgu"),
        f"log.level\n  wrong     'debgu' is not a level\n  {LEVELS}\n  did you mean debug?",
    ),
    "the short form of warning": (
        env(LOG_LEVEL="info,databases=warn"),
        f"log.level\n  wrong     'warn' is not a level\n  {LEVELS}\n  did you mean warning?",
    ),
    "two general levels": (
        env(LOG_LEVEL="info,debug"),
        f"log.level\n  wrong     'info,debug' names the general level twice\n  {LEVELS}",
    ),
    "one logger twice": (
        env(LOG_LEVEL="app=info,app=debug"),
        f"log.level\n  wrong     'app=info,app=debug' names 'app' twice\n  {LEVELS}",
    ),
    "a level without a logger": (
        env(LOG_LEVEL="=debug"),
        f"log.level\n  wrong     '=debug' has no logger before the '='\n  {LEVELS}",
    ),
    "a comma too many": (
        env(LOG_LEVEL="info,"),
        f"log.level\n  wrong     '' is not a level\n  {LEVELS}",
    ),
    # Origins
    "any origin": (
        env(CORS_ORIGINS="*"),
        f"server.cors_origins\n  wrong     '*' would let any site call with the user's cookies\n  {CORS}",
    ),
    "the null origin": (
        env(CORS_ORIGINS="null"),
        f"server.cors_origins\n  wrong     'null' would let any site call with the user's cookies\n  {CORS}",
    ),
    "an origin with a path": (
        env(CORS_ORIGINS="https://a.example/app"),
        "server.cors_origins\n  wrong     'https://a.example/app' has more than scheme, host and port\n"
        f"  {CORS}\n  did you mean https://a.example?",
    ),
    "an origin with a slash at its end": (
        env(CORS_ORIGINS="http://localhost:5173/"),
        "server.cors_origins\n  wrong     'http://localhost:5173/' has more than scheme, host and port\n"
        f"  {CORS}\n  did you mean http://localhost:5173?",
    ),
    "an origin without a scheme": (
        env(CORS_ORIGINS="a.example"),
        f"server.cors_origins\n  wrong     'a.example' is not an origin\n  {CORS}",
    ),
    "an origin of another scheme": (
        env(CORS_ORIGINS="ftp://a.example"),
        f"server.cors_origins\n  wrong     'ftp://a.example' is not an origin\n  {CORS}",
    ),
    "an origin with a user": (
        env(CORS_ORIGINS="https://me@a.example"),
        f"server.cors_origins\n  wrong     'https://me@a.example' is not an origin\n  {CORS}",
    ),
    "an origin with a wildcard": (
        env(CORS_ORIGINS="https://*.a.example"),
        f"server.cors_origins\n  wrong     'https://*.a.example' is not an origin\n  {CORS}",
    ),
    "an origin with a bad port": (
        env(CORS_ORIGINS="https://a.example:99999"),
        f"server.cors_origins\n  wrong     'https://a.example:99999' is not an origin\n  {CORS}",
    ),
    "a list with a hole": (
        env(CORS_ORIGINS="https://a.example,,https://b.example"),
        f"server.cors_origins\n  wrong     '' is not an origin\n  {CORS}",
    ),
    "a list in broken JSON": (
        env(CORS_ORIGINS='["https://a.example"'),
        f"server.cors_origins\n  wrong     '[\"https://a.example\"' is not a JSON array\n  {CORS}",
    ),
    "a JSON list of numbers": (
        env(CORS_ORIGINS="[1]"),
        f"server.cors_origins\n  wrong     the number 1 in the array is not a string\n  {CORS}",
    ),
    # TOML has types, and they count
    "a string for a whole number": (
        shared('[default.database]\npool_max = "20"'),
        f"database.pool_max\n  wrong     the string '20' is not a whole number\n  {TOML_POOL_MAX}",
    ),
    "a fraction in TOML for a whole number": (
        shared("[default.database]\npool_max = 2.0"),
        f"database.pool_max\n  wrong     the number 2.0 is not a whole number\n  {TOML_POOL_MAX}",
    ),
    "a boolean for a whole number": (
        shared("[default.database]\npool_max = true"),
        f"database.pool_max\n  wrong     the boolean true is not a whole number\n  {TOML_POOL_MAX}",
    ),
    "a table for a whole number": (
        shared("[default.database.pool_max]\nhigh = 20"),
        f"database.pool_max\n  wrong     a table is not a whole number\n  {TOML_POOL_MAX}",
    ),
    "an array for a whole number": (
        shared("[default.database]\npool_max = [20]"),
        f"database.pool_max\n  wrong     an array is not a whole number\n  {TOML_POOL_MAX}",
    ),
    "a string with a unit for a duration": (
        shared('[default.server]\nrequest_timeout = "30s"'),
        "server.request_timeout\n  wrong     the string '30s' is not a number of seconds\n"
        f"  {TOML_TIMEOUT}\n  did you mean 30?",
    ),
    "an infinite duration in TOML": (
        shared("[default.server]\nrequest_timeout = inf"),
        f"server.request_timeout\n  wrong     the number inf is not a number of seconds\n  {TOML_TIMEOUT}",
    ),
    "a duration in TOML that is not a number": (
        shared("[default.server]\nrequest_timeout = nan"),
        f"server.request_timeout\n  wrong     the number nan is not a number of seconds\n  {TOML_TIMEOUT}",
    ),
    "a number for a boolean": (
        shared("[default.database]\nmigrate_at_start = 1"),
        "database.migrate_at_start\n  wrong     the number 1 is not true or false\n"
        "  from      settings.toml [default]\n  accepted  true or false (also yes/no, on/off, 1/0)",
    ),
    "a number for a name": (
        shared("[default.app]\nname = 5"),
        "app.name\n  wrong     the number 5 is not a string\n  from      settings.toml [default]\n"
        "  accepted  1 to 40 printable ASCII characters without spaces",
    ),
    "a date for a name": (
        shared("[default.app]\nname = 2026-01-01"),
        "app.name\n  wrong     a date or time is not a string\n  from      settings.toml [default]\n"
        "  accepted  1 to 40 printable ASCII characters without spaces",
    ),
    "an empty string in TOML": (
        shared('[default.app]\nname = ""'),
        "app.name\n  wrong     the string is empty; leave the key out to keep the default\n"
        "  from      settings.toml [default]\n"
        "  accepted  1 to 40 printable ASCII characters without spaces",
    ),
    "a string for a list": (
        shared('[default.server]\ncors_origins = "https://a.example"'),
        "server.cors_origins\n  wrong     the string 'https://a.example' is not an array of strings\n"
        "  from      settings.toml [default]\n"
        "  accepted  origins such as https://example.com, as 'a,b' or as JSON",
    ),
    # The same parser serves every layer of text
    "a value in .env": (
        dotenv("APP_DATABASE__POOL_MAX=lots\n"),
        "database.pool_max\n  wrong     'lots' is not a whole number\n"
        "  from      .env (APP_DATABASE__POOL_MAX)\n  accepted  a whole number from 1 to 1000",
    ),
    "a value on the command line": (
        options("database.pool_max=lots"),
        "database.pool_max\n  wrong     'lots' is not a whole number\n  from      --set\n"
        "  accepted  a whole number from 1 to 1000",
    ),
    "a value in a secret file": (
        Given(files={"run/secrets/db_port": "lots\n"}),
        "database.port\n  wrong     'lots' is not a whole number\n"
        "  from      secret file ROOT/run/secrets/db_port\n  accepted  a whole number from 1 to 65535",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_value_is_explained(project: Project, name: str) -> None:
    given, message = CASES[name]
    put(project, given)

    page = project.complaint(*given.options, **given.env)

    assert page == f"The settings have 1 fault, so nothing was started.\n\n{message}"
