"""Values that are sound alone and wrong together.

Each case asserts the whole message that a person reads.
"""

from __future__ import annotations

import pytest

from tests.core.settings.project import PRODUCTION, Project, dotenv, env, options, put, said, shared

ONE = "one of the two"

CASES = {
    "an alias and the key's own name": (
        env(PORT="1", APP_SERVER__PORT="2"),
        said(
            "server.port", "environment (PORT) sets this too, to another value", "environment (APP_SERVER__PORT)", ONE
        ),
    ),
    "two aliases": (
        dotenv("PORT=1\nSERVER_PORT=2\n"),
        said("server.port", ".env (SERVER_PORT) sets this too, to another value", ".env (PORT)", ONE),
    ),
    "two passwords, neither of them shown": (
        env(DB_PASSWORD="hunter2", APP_DATABASE__PASSWORD="hunter3"),
        said(
            "database.password",
            "environment (DB_PASSWORD) sets this too, to another value",
            "environment (APP_DATABASE__PASSWORD)",
            ONE,
        ),
    ),
    "a URL beside a part of it": (
        env(DATABASE_URL="postgresql://me@h/n", DB_HOST="h"),
        said(
            "database.host",
            "environment (DATABASE_URL) sets this too, as a part of database.url",
            "environment (DB_HOST)",
            "the URL or its parts, not both",
        ),
    ),
    "a URL beside a part of it in one table": (
        shared('[default.database]\nurl = "postgresql:///one"\nname = "two"'),
        said(
            "database.name",
            "settings.toml [default] sets this too, as a part of database.url",
            "settings.toml [default]",
            "the URL or its parts, not both",
        ),
    ),
    "two URLs": (
        env(DATABASE_URL="postgresql://a/n", APP_DATABASE__URL="postgresql://b/n"),
        said(
            "database.url",
            "environment (DATABASE_URL) sets this too, to another value",
            "environment (APP_DATABASE__URL)",
            ONE,
        ),
    ),
    "a pool that keeps more than it may open": (
        env(APP_DATABASE__POOL_MIN="20"),
        said(
            "database.pool_min",
            (
                "20 is more than database.pool_max, which is 10 (default): a pool can't keep more "
                "connections than it may open"
            ),
            "environment (APP_DATABASE__POOL_MIN)",
            "at most 10",
        ),
    ),
    "a lock timeout that never strikes": (
        shared("[default.database]\nlock_timeout = 20\nstatement_timeout = 15.5"),
        said(
            "database.lock_timeout",
            (
                "20 is more than database.statement_timeout, which is 15.5 (settings.toml "
                "[default]): the statement would be ended first"
            ),
            "settings.toml [default]",
            "at most 15.5",
        ),
    ),
    "a lock timeout of migrations that never strikes": (
        options("database.migration_statement_timeout=2"),
        said(
            "database.migration_lock_timeout",
            (
                "3 is more than database.migration_statement_timeout, which is 2 (--set): the "
                "statement would be ended first"
            ),
            "default",
            "at most 2",
        ),
    ),
    "migrations at the start of production": (
        env(**PRODUCTION, DB_PASSWORD="p", APP_DATABASE__MIGRATE_AT_START="yes"),
        said(
            "database.migrate_at_start",
            "production never migrates at start: several servers would, and a failed migration would stop them all",
            "environment (APP_DATABASE__MIGRATE_AT_START)",
            "false in production; run `app migrate up` before the servers start",
        ),
    ),
    "mail that is printed in production": (
        env(**PRODUCTION | {"APP_EMAIL__ADAPTER": "console"}, DB_PASSWORD="p"),
        said(
            "email.adapter",
            "a printed mail holds what sets a new password, and logs are read by many",
            "environment (APP_EMAIL__ADAPTER)",
            "smtp or off in production",
        ),
    ),
    "a provider whose tokens for anybody would be taken": (
        env(ZITADEL_AUTHORITY="https://id.example"),
        said(
            "oidc.audience",
            "oidc.issuer is set, and without an audience its tokens for any other service would be taken",
            "default",
            "the name under which the provider knows this service",
        ),
    ),
    "a provider whose keys anybody could change on their way": (
        env(ZITADEL_AUTHORITY="http://id.example", ZITADEL_AUDIENCE="me"),
        said(
            "oidc.issuer",
            "without TLS anybody on the way could put keys of their own among the provider's",
            "environment (ZITADEL_AUTHORITY)",
            "https://, or http:// to this machine itself",
        ),
    ),
    "a session that is over before it is idle": (
        options("session.absolute_timeout=60"),
        said(
            "session.idle_timeout",
            (
                "43200 is more than session.absolute_timeout, which is 60 (--set): every session would be over before "
                "it is idle"
            ),
            "default",
            "at most 60",
        ),
    ),
    "an access token that outlives its sign-in": (
        env(APP_JWT__REFRESH_LIFETIME="60"),
        said(
            "jwt.access_lifetime",
            (
                "900 is more than jwt.refresh_lifetime, which is 60 (environment (APP_JWT__REFRESH_LIFETIME)): an "
                "access token would hold longer than its sign-in"
            ),
            "default",
            "at most 60",
        ),
    ),
    "another secret that production lacks": (
        env(**{name: text for name, text in PRODUCTION.items() if name != "APP_JWT__SECRET"}, DB_PASSWORD="p"),
        said(
            "jwt.secret",
            "production needs this secret, and nothing sets it",
            "no layer",
            "APP_JWT__SECRET, APP_JWT__SECRET_FILE or a file in /run/secrets",
        ),
    ),
    "a secret that production lacks": (
        env(**PRODUCTION),
        said(
            "database.password",
            "production needs this secret, and nothing sets it",
            "no layer",
            "APP_DATABASE__PASSWORD, APP_DATABASE__PASSWORD_FILE or a file in /run/secrets",
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_that_clash_are_explained(project: Project, name: str) -> None:
    given, message = CASES[name]
    put(project, given)

    page = project.complaint(*given.options, **given.env)

    assert page == f"The settings have 1 fault, so nothing was started.\n\n{message}"
