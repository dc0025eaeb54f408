"""Hosts, names, secrets, log levels and origins that a layer may not give.

Each case asserts the whole message that a person reads.
"""

from __future__ import annotations

import pytest

from tests.core.settings.project import Given, Project, env, options, put, said, shared

EMPTY = "the value is empty; leave the name out to keep the default"
IDENTIFIER = "1 to 63 bytes of printable text"
LEVELS = "a level, or 'info,app=debug,databases=warning'; levels are debug info warning error critical"
NAME = "1 to 40 printable ASCII characters without spaces"
COLLECTOR = "http://host:port/path, https:// for TLS, or nothing"
NETWORKS = "networks such as 10.0.0.0/8 or fd00::/8, as 'a,b' or as JSON"
ORIGINS = "origins such as https://example.com, as 'a,b' or as JSON"
LINE = "at most 255 printable characters, or nothing"
LONG_SECRET = "any text of at least 32 characters without NUL characters"
SECRET = "any text without NUL characters"

CASES = {
    "a host with a scheme": (
        env(SERVER_HOST="http://0.0.0.0"),
        said(
            "server.host", "'http://0.0.0.0' is not a host", "environment (SERVER_HOST)", "a host name or an IP address"
        ),
    ),
    "an empty host": (
        env(DB_HOST=""),
        said(
            "database.host",
            EMPTY,
            "environment (DB_HOST)",
            "a host name or an IP address, or the folder of a Unix socket",
        ),
    ),
    "a name with a space": (
        options("app.name=my app"),
        said("app.name", "'my app' holds a character that is not allowed", "--set", NAME),
    ),
    "a name that is too long": (
        options(f"app.name={'n' * 41}"),
        said("app.name", "'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn' has 41 characters", "--set", NAME),
    ),
    "a role that PostgreSQL would cut short": (
        env(DB_USER="ü" * 32),
        said(
            "database.user",
            "'üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü' is not a name that PostgreSQL keeps as it is",
            "environment (DB_USER)",
            IDENTIFIER,
        ),
    ),
    "bytes that are not UTF-8": (
        env(DB_NAME="caf\udce9"),
        said("database.name", "the value is not text in UTF-8", "environment (DB_NAME)", IDENTIFIER),
    ),
    "an empty password": (
        env(DB_PASSWORD=""),
        said("database.password", EMPTY, "environment (DB_PASSWORD)", SECRET),
    ),
    "a number for a password": (
        Given(files={"settings.local.toml": "[database]\npassword = 12345"}),
        said("database.password", "a number is not a string; put it in quotes", "settings.local.toml", SECRET),
    ),
    "a boolean for a password": (
        Given(files={"settings.local.toml": "[database]\npassword = true"}),
        said("database.password", "a boolean is not a string; put it in quotes", "settings.local.toml", SECRET),
    ),
    "a password under version control": (
        shared('[default.database]\npassword = "hunter2"'),
        said(
            "database.password",
            "a secret has no place in a file under version control",
            "settings.toml [default]",
            SECRET,
            "settings.local.toml or .env",
        ),
    ),
    "a secret that can be guessed": (
        env(APP_JWT__SECRET="x" * 31),
        said(
            "jwt.secret",
            "the secret has 31 characters, too few to be safe from guessing",
            "environment (APP_JWT__SECRET)",
            LONG_SECRET,
        ),
    ),
    "an empty secret": (
        env(APP_SESSION__SECRET=""),
        said("session.secret", EMPTY, "environment (APP_SESSION__SECRET)", LONG_SECRET),
    ),
    "an earlier secret that can be guessed": (
        env(APP_JWT__PREVIOUS_SECRET="old"),
        said(
            "jwt.previous_secret",
            "the secret has 3 characters, too few to be safe from guessing",
            "environment (APP_JWT__PREVIOUS_SECRET)",
            f"{LONG_SECRET}, or nothing",
        ),
    ),
    "a secret that need not be there under version control": (
        shared('[default.email]\nsmtp_password = "hunter2"'),
        said(
            "email.smtp_password",
            "a secret has no place in a file under version control",
            "settings.toml [default]",
            f"{SECRET}, or nothing",
            "settings.local.toml or .env",
        ),
    ),
    "a line of two lines": (
        env(APP_EMAIL__SMTP_USER="me\nBcc: all@example.org"),
        said(
            "email.smtp_user",
            "'me\\nBcc: all@example.org' holds a character that is not allowed",
            "environment (APP_EMAIL__SMTP_USER)",
            LINE,
        ),
    ),
    "a line that is too long": (
        options(f"oidc.audience={'n' * 256}"),
        said("oidc.audience", f"'{'n' * 60}...' has 256 characters", "--set", LINE),
    ),
    "a URL with a password under version control": (
        shared('[default.redis]\nurl = "redis://:hunter2@cache/0"'),
        said(
            "redis.url",
            "a secret has no place in a file under version control",
            "settings.toml [default]",
            "redis://user:password@host:port/0, rediss:// for TLS, or unix:///path/to/socket?db=0",
            "settings.local.toml or .env",
        ),
    ),
    "a level that does not exist": (
        env(LOG_LEVEL="verbose"),
        said("log.level", "'verbose' is not a level", "environment (LOG_LEVEL)", LEVELS),
    ),
    "a level that is nearly one": (
        env(LOG_LEVEL="info,app=debgu"),
        said("log.level", "'debgu' is not a level", "environment (LOG_LEVEL)", LEVELS, "debug"),
    ),
    "the short form of warning": (
        env(LOG_LEVEL="info,databases=warn"),
        said("log.level", "'warn' is not a level", "environment (LOG_LEVEL)", LEVELS, "warning"),
    ),
    "two general levels": (
        env(LOG_LEVEL="info,debug"),
        said("log.level", "'info,debug' names the general level twice", "environment (LOG_LEVEL)", LEVELS),
    ),
    "one logger twice": (
        env(LOG_LEVEL="app=info,app=debug"),
        said("log.level", "'app=info,app=debug' names 'app' twice", "environment (LOG_LEVEL)", LEVELS),
    ),
    "a level without a logger": (
        env(LOG_LEVEL="=debug"),
        said("log.level", "'=debug' has no logger before the '='", "environment (LOG_LEVEL)", LEVELS),
    ),
    "a comma too many": (
        env(LOG_LEVEL="info,"),
        said("log.level", "'' is not a level", "environment (LOG_LEVEL)", LEVELS),
    ),
    "a host for a network": (
        env(APP_SERVER__TRUSTED_PROXIES="10.0.0.0/8,proxy.internal"),
        said(
            "server.trusted_proxies",
            "'proxy.internal' is not a network",
            "environment (APP_SERVER__TRUSTED_PROXIES)",
            NETWORKS,
        ),
    ),
    "an address with the size of its network": (
        env(APP_SERVER__TRUSTED_PROXIES="10.1.2.3/8"),
        said(
            "server.trusted_proxies",
            "'10.1.2.3/8' is not a network",
            "environment (APP_SERVER__TRUSTED_PROXIES)",
            NETWORKS,
            "10.0.0.0/8",
        ),
    ),
    "a collector without a scheme": (
        env(APP_TELEMETRY__OTLP_ENDPOINT="otel:4318"),
        said(
            "telemetry.otlp_endpoint",
            "this is not a URL",
            "environment (APP_TELEMETRY__OTLP_ENDPOINT)",
            COLLECTOR,
        ),
    ),
    "a collector without a host": (
        env(APP_TELEMETRY__OTLP_ENDPOINT="http://"),
        said(
            "telemetry.otlp_endpoint",
            "the URL names no host",
            "environment (APP_TELEMETRY__OTLP_ENDPOINT)",
            COLLECTOR,
        ),
    ),
    "a collector with a login, which is not repeated": (
        env(APP_TELEMETRY__OTLP_ENDPOINT="http://me:hunter2@otel:4318"),
        said(
            "telemetry.otlp_endpoint",
            "the URL holds a login, which would be shown wherever the settings are",
            "environment (APP_TELEMETRY__OTLP_ENDPOINT)",
            COLLECTOR,
        ),
    ),
    "any origin": (
        env(CORS_ORIGINS="*"),
        said(
            "server.cors_origins",
            "'*' would let any site call with the user's cookies",
            "environment (CORS_ORIGINS)",
            ORIGINS,
        ),
    ),
    "the null origin": (
        env(CORS_ORIGINS="null"),
        said(
            "server.cors_origins",
            "'null' would let any site call with the user's cookies",
            "environment (CORS_ORIGINS)",
            ORIGINS,
        ),
    ),
    "an origin with a path": (
        env(CORS_ORIGINS="https://a.example/app"),
        said(
            "server.cors_origins",
            "'https://a.example/app' has more than scheme, host and port",
            "environment (CORS_ORIGINS)",
            ORIGINS,
            "https://a.example",
        ),
    ),
    "an origin with a slash at its end": (
        env(CORS_ORIGINS="http://localhost:5173/"),
        said(
            "server.cors_origins",
            "'http://localhost:5173/' has more than scheme, host and port",
            "environment (CORS_ORIGINS)",
            ORIGINS,
            "http://localhost:5173",
        ),
    ),
    "an origin without a scheme": (
        env(CORS_ORIGINS="a.example"),
        said("server.cors_origins", "'a.example' is not an origin", "environment (CORS_ORIGINS)", ORIGINS),
    ),
    "an origin of another scheme": (
        env(CORS_ORIGINS="ftp://a.example"),
        said("server.cors_origins", "'ftp://a.example' is not an origin", "environment (CORS_ORIGINS)", ORIGINS),
    ),
    "an origin with a user": (
        env(CORS_ORIGINS="https://me@a.example"),
        said("server.cors_origins", "'https://me@a.example' is not an origin", "environment (CORS_ORIGINS)", ORIGINS),
    ),
    "an origin with a wildcard": (
        env(CORS_ORIGINS="https://*.a.example"),
        said("server.cors_origins", "'https://*.a.example' is not an origin", "environment (CORS_ORIGINS)", ORIGINS),
    ),
    "an origin with a bad port": (
        env(CORS_ORIGINS="https://a.example:99999"),
        said(
            "server.cors_origins", "'https://a.example:99999' is not an origin", "environment (CORS_ORIGINS)", ORIGINS
        ),
    ),
    "a list with a hole": (
        env(CORS_ORIGINS="https://a.example,,https://b.example"),
        said("server.cors_origins", "'' is not an origin", "environment (CORS_ORIGINS)", ORIGINS),
    ),
    "a list in broken JSON": (
        env(CORS_ORIGINS='["https://a.example"'),
        said(
            "server.cors_origins", "'[\"https://a.example\"' is not a JSON array", "environment (CORS_ORIGINS)", ORIGINS
        ),
    ),
    "a JSON list of numbers": (
        env(CORS_ORIGINS="[1]"),
        said("server.cors_origins", "the number 1 in the array is not a string", "environment (CORS_ORIGINS)", ORIGINS),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bad_text_is_explained(project: Project, name: str) -> None:
    given, message = CASES[name]
    put(project, given)

    page = project.complaint(*given.options, **given.env)

    assert page == f"The settings have 1 fault, so nothing was started.\n\n{message}"
