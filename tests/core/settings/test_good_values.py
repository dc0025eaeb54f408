"""Values that are accepted, and what becomes of them."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.core.settings import EventLoop, PoolerMode, SslMode
from app.core.settings.secret import Secret
from app.core.settings.sections import Adapter
from tests.core.settings.project import Given, Project, env, options, put, shared

CASES: dict[str, tuple[Given, str, object]] = {
    "a number": (env(APP_DATABASE__POOL_MAX="20"), "database.pool_max", 20),
    "a number with zeros before it": (env(APP_DATABASE__POOL_MAX="020"), "database.pool_max", 20),
    "the lowest number": (env(PORT="0"), "server.port", 0),
    "the highest number": (env(PORT="65535"), "server.port", 65535),
    "a number in TOML": (shared("[default.database]\npool_max = 1_00"), "database.pool_max", 100),
    "a duration": (env(REQUEST_TIMEOUT_SECS="2.5"), "server.request_timeout", 2.5),
    "a whole duration": (env(SHUTDOWN_TIMEOUT_SECS="10"), "server.shutdown_timeout", 10.0),
    "a whole duration in TOML": (shared("[default.server]\nrequest_timeout = 7"), "server.request_timeout", 7.0),
    "yes": (env(APP_DATABASE__MIGRATE_AT_START="Yes"), "database.migrate_at_start", True),
    "0": (env(APP_DATABASE__MIGRATE_AT_START="0"), "database.migrate_at_start", False),
    "a boolean in TOML": (shared("[default.database]\nmigrate_at_start = true"), "database.migrate_at_start", True),
    "a word": (env(APP_SERVER__EVENT_LOOP="uvloop"), "server.event_loop", EventLoop.UVLOOP),
    "another word": (options("database.pooler_mode=transaction"), "database.pooler_mode", PoolerMode.TRANSACTION),
    "DB_SSL true": (env(DB_SSL="true"), "database.sslmode", SslMode.REQUIRE),
    "DB_SSL false": (env(DB_SSL="False"), "database.sslmode", SslMode.DISABLE),
    "DB_SSL a mode": (env(DB_SSL="verify-full"), "database.sslmode", SslMode.VERIFY_FULL),
    "an address": (env(SERVER_HOST="::1"), "server.host", "::1"),
    "every interface": (env(HOST="0.0.0.0"), "server.host", "0.0.0.0"),
    "a host name": (env(DB_HOST="db-1.internal"), "database.host", "db-1.internal"),
    "a socket's folder": (env(DB_HOST="/var/run/postgresql"), "database.host", "/var/run/postgresql"),
    "a name with spaces in PostgreSQL": (env(DB_NAME="Größe 1"), "database.name", "Größe 1"),
    "no origins": (env(CORS_ORIGINS=""), "server.cors_origins", ()),
    "origins with commas": (
        env(CORS_ORIGINS="https://a.example, http://localhost:5173"),
        "server.cors_origins",
        ("https://a.example", "http://localhost:5173"),
    ),
    "origins in JSON": (env(CORS_ORIGINS='["https://a.example"]'), "server.cors_origins", ("https://a.example",)),
    "no origins in JSON": (env(CORS_ORIGINS="[]"), "server.cors_origins", ()),
    "origins in TOML": (
        shared("[default.server]\ncors_origins = ['https://[::1]:8443']"),
        "server.cors_origins",
        ("https://[::1]:8443",),
    ),
    "origins as a browser spells them": (
        env(CORS_ORIGINS="https://A.Example:443,http://a.example:80,https://a.example"),
        "server.cors_origins",
        ("https://a.example", "http://a.example"),
    ),
    "no networks": (env(APP_SERVER__TRUSTED_PROXIES=""), "server.trusted_proxies", ()),
    "networks": (
        env(APP_SERVER__TRUSTED_PROXIES="10.0.0.0/8, fd00::/8,10.0.0.0/8"),
        "server.trusted_proxies",
        (ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
    ),
    "an address alone": (
        shared('[default.server]\ntrusted_proxies = ["192.0.2.7"]'),
        "server.trusted_proxies",
        (ip_network("192.0.2.7/32"),),
    ),
    "networks in JSON": (
        env(APP_TELEMETRY__NETWORKS='["::1"]'),
        "telemetry.networks",
        (ip_network("::1/128"),),
    ),
    "a collector": (
        env(APP_TELEMETRY__OTLP_ENDPOINT="http://otel:4318/"),
        "telemetry.otlp_endpoint",
        "http://otel:4318",
    ),
    "no collector": (env(APP_TELEMETRY__OTLP_ENDPOINT=""), "telemetry.otlp_endpoint", ""),
    "no collector in TOML": (shared('[default.telemetry]\notlp_endpoint = ""'), "telemetry.otlp_endpoint", ""),
    "a secret just long enough": (env(APP_JWT__SECRET="x" * 32), "jwt.secret", Secret("x" * 32)),
    "an earlier secret": (env(APP_SESSION__PREVIOUS_SECRET="ö" * 32), "session.previous_secret", Secret("ö" * 32)),
    "no earlier secret": (env(APP_SESSION__PREVIOUS_SECRET=""), "session.previous_secret", Secret("")),
    "a line": (env(APP_EMAIL__SENDER="Größe <me@a.example>"), "email.sender", "Größe <me@a.example>"),
    "an empty line": (env(APP_EMAIL__SMTP_USER=""), "email.smtp_user", ""),
    "an empty line in TOML": (shared('[default.oidc]\nclient_id = ""'), "oidc.client_id", ""),
    "how mail leaves": (env(APP_EMAIL__ADAPTER="smtp"), "email.adapter", Adapter.SMTP),
    "a share": (env(APP_TELEMETRY__SAMPLE="0.25"), "telemetry.sample", 0.25),
    "a share in TOML": (shared("[default.telemetry]\nsample = 1"), "telemetry.sample", 1.0),
    "a level": (env(LOG_LEVEL="DEBUG"), "log.level", "debug"),
    "levels": (env(LOG_LEVEL="info, app.web=Debug"), "log.level", "info,app.web=debug"),
    "a level for one logger alone": (env(LOG_LEVEL="app=debug"), "log.level", "app=debug"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_good_value_is_read(project: Project, name: str) -> None:
    given, key, expected = CASES[name]
    put(project, given)

    settings = project.load(*given.options, **given.env)

    section, _, attribute = key.partition(".")
    value = getattr(getattr(settings, section), attribute)
    assert value == expected
    assert type(value) is type(expected)
