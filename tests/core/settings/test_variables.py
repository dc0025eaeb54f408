"""Conventional names, names that belong to others, and names whose section has no keys yet."""

from __future__ import annotations

import pytest

from app.core.settings.aliases import ALIASES, UNREAD
from app.core.settings.declarations import SECTIONS, SETTINGS
from tests.core.settings.project import Project

# The names that specification and example files use, each with a value and what it must become.
LIVE = {
    "DATABASE_URL": ("postgresql://me:p@db/shop", "database.host", "db"),
    "DATABASE_MAX_CONNECTIONS": ("7", "database.pool_max", "7"),
    "DB_HOST": ("db", "database.host", "db"),
    "DB_PORT": ("5433", "database.port", "5433"),
    "DB_NAME": ("shop", "database.name", "shop"),
    "DB_USER": ("me", "database.user", "me"),
    "DB_PASSWORD": ("p", "database.password", "**********"),
    "DB_SSL": ("yes", "database.sslmode", "require"),
    "REDIS_URL": ("redis://cache:6379", "redis.url", "redis://cache:6379"),
    "SERVER_HOST": ("box", "server.host", "box"),
    "HOST": ("0.0.0.0", "server.host", "0.0.0.0"),
    "SERVER_PORT": ("9000", "server.port", "9000"),
    "PORT": ("9000", "server.port", "9000"),
    "CORS_ORIGINS": ("https://a.example", "server.cors_origins", "('https://a.example',)"),
    "REQUEST_TIMEOUT_SECS": ("5", "server.request_timeout", "5.0"),
    "SHUTDOWN_TIMEOUT_SECS": ("5", "server.shutdown_timeout", "5.0"),
    "LOG_LEVEL": ("debug", "log.level", "debug"),
    "ZITADEL_AUTHORITY": ("https://id.example", "oidc.issuer", "https://id.example"),
    "ZITADEL_CLIENT_ID": ("site", "oidc.client_id", "site"),
    "ZITADEL_AUDIENCE": ("me", "oidc.audience", "me"),
}
TO_COME = [
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "AI_PRIMARY_PROVIDER",
    "AI_FALLBACK_PROVIDER",
    "STRIPE_API_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "RESEND_API_KEY",
]
LINKS = {
    "DB_PORT": "tcp://10.0.0.7:5432",
    "SERVER_PORT": "tcp://10.0.0.8:80",
    "APP_PORT": "tcp://10.0.0.9:8000",
    "APP_PORT_8000_TCP": "tcp://10.0.0.9:8000",
    "APP_PORT_8000_TCP_ADDR": "10.0.0.9",
    "APP_SERVICE_HOST": "10.0.0.9",
    "APP_SERVICE_PORT_HTTP": "8000",
    "APP_WEB_SERVICE_PORT": "8000",
}


@pytest.mark.parametrize("name", LIVE)
def test_a_conventional_name_sets_its_key(project: Project, name: str) -> None:
    text, key, expected = LIVE[name]

    beside = {"APP_OIDC__AUDIENCE": "me"} if key == "oidc.issuer" else {}  # one without the other is a fault
    settings = project.load(**{name: text}, **beside)

    section, _, attribute = key.partition(".")
    assert str(getattr(getattr(settings, section), attribute)) == expected
    assert settings.origins[key] == f"environment ({name})"


def test_every_alias_is_tested_and_leads_somewhere() -> None:
    assert list(ALIASES) == list(LIVE)
    assert list(UNREAD) == TO_COME
    assert {alias.key for alias in ALIASES.values()} <= set(SETTINGS)
    assert set(UNREAD.values()) <= set(SECTIONS)


@pytest.mark.parametrize("key", SETTINGS)
def test_every_key_has_a_variable_of_its_own(key: str) -> None:
    section, _, name = key.partition(".")

    assert SETTINGS[key].variable == f"APP_{section.upper()}__{name.upper()}"


@pytest.mark.parametrize("name", TO_COME)
def test_a_name_whose_section_is_to_come_is_reported_without_its_value(project: Project, name: str) -> None:
    settings = project.load(**{name: "canary-31aa"})

    assert settings.notices == (
        f"{name} in the environment is recognised (section {UNREAD[name]}), but nothing in this version reads it.",
    )


def test_the_file_of_a_name_to_come_is_reported_too(project: Project) -> None:
    project.write(".env", "STRIPE_API_KEY_FILE=/nowhere\n")

    assert project.load().notices == (
        "STRIPE_API_KEY_FILE in the .env is recognised (section payment), but nothing in this version reads it.",
    )


@pytest.mark.parametrize("name", LINKS)
def test_a_link_of_kubernetes_is_left_alone_and_reported(project: Project, name: str) -> None:
    settings = project.load(**{name: LINKS[name]})

    assert settings.notices == (
        f"{name} in the environment is left alone: it is the link that Kubernetes makes for a service of that name.",
    )
    generated = {settings.origins[key] for key, item in SETTINGS.items() if item.required}
    assert set(settings.origins.values()) == {"default", *generated}


def test_what_is_no_link_is_not_taken_for_one(project: Project) -> None:
    link = "tcp://10.0.0.9:8000"

    assert "did you mean APP_SERVER__PORT?" in project.complaint(APP_PORT="9000")
    assert f"'{link}' is not a whole number" in project.complaint(APP_SERVER__PORT=link)
    assert f"'{link}' is not a host" in project.complaint(SERVER_HOST=link)


@pytest.mark.parametrize("machine", ["my-laptop", "x86_64-conda-linux-gnu", ""])
def test_host_is_the_name_of_the_machine_unless_it_is_an_address(project: Project, machine: str) -> None:
    settings = project.load(HOST=machine)

    assert settings.server.host == "127.0.0.1"
    why = "shells set HOST to the name of the machine, so only an address counts here; or use SERVER_HOST"
    assert settings.notices == (f"HOST in the environment is left alone: {why}.",)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "localhost"])
def test_host_is_the_address_to_listen_on(project: Project, address: str) -> None:
    assert project.load(HOST=address).server.host == address


def test_the_name_of_the_machine_does_not_clash_with_a_host(project: Project) -> None:
    project.write("host", "0.0.0.0")

    assert project.load(HOST="my-laptop", SERVER_HOST="::1").server.host == "::1"
    assert project.load(HOST="my-laptop", SERVER_HOST_FILE="host").server.host == "0.0.0.0"
