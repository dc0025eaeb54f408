"""Section `database`: which server is called, by whom, and how."""

from __future__ import annotations

import pytest

from app.core.database import DatabaseUnavailable, UnknownDatabase, WrongPassword, open_database
from app.core.lifecycle import Lifecycle
from app.core.migrations import migrate_down, read_history
from app.core.resources import open_resources
from app.core.settings import Settings
from tests.effects.case import Trial, Values, shows
from tests.effects.doorbell import SSL_REQUEST, Call, Doorbell, doorbell
from tests.harness.databases import at
from tests.harness.ports import kept_ports
from tests.harness.settings import TestSettings

ONE_TRY = "database.start_timeout=0"
ENCRYPTED, PLAIN = "asks for TLS", "speaks plainly"


def own_url_and_another(usual: TestSettings) -> Values:
    url = usual.environ["APP_DATABASE__URL"]
    return {url: usual().database.name, at(url, "nowhere"): UnknownDatabase}


def own_name_and_another(usual: TestSettings) -> Values:
    return {usual().database.name: usual().database.name, "nowhere": UnknownDatabase}


def own_user_and_another(usual: TestSettings) -> Values:
    return {usual().database.user: usual().database.name, "nobody-we-know": WrongPassword}


def own_password_and_another(usual: TestSettings) -> Values:
    return {usual().database.password.reveal(): usual().database.name, "not-this-one": WrongPassword}


@shows("database.url", own_url_and_another)
@shows("database.name", own_name_and_another)
@shows("database.user", own_user_and_another)
@shows("database.password", own_password_and_another)
async def the_database_that_lets_us_in(trial: Trial) -> str | type[DatabaseUnavailable]:
    try:
        async with open_database(trial.settings().database) as db:
            return str(await db.fetch_val("SELECT current_database()"))
    except DatabaseUnavailable as refusal:
        return type(refusal)


def two_free_ports(_: TestSettings) -> Values:
    return {str(port): port for port in kept_ports(2)}


@shows("database.host", {"127.0.0.1": "127.0.0.1", "127.0.0.2": "127.0.0.2"})
async def the_address_that_is_called(trial: Trial) -> str:
    async with doorbell() as bell:
        return (await _rung_by(trial.settings(ONE_TRY, f"database.port={bell.port}"), bell)).host


@shows("database.port", two_free_ports)
async def the_port_that_is_called(trial: Trial) -> int:
    async with doorbell(int(trial.value)) as bell:
        return (await _rung_by(trial.settings(ONE_TRY, "database.host=127.0.0.1"), bell)).port


@shows("database.sslmode", {"disable": PLAIN, "require": ENCRYPTED})
async def what_is_said_first(trial: Trial) -> str:
    async with doorbell() as bell:
        stage = ONE_TRY, "database.host=127.0.0.1", f"database.port={bell.port}"
        call = await _rung_by(trial.settings(*stage), bell)
    return ENCRYPTED if call.first == SSL_REQUEST else PLAIN


async def _rung_by(settings: Settings, bell: Doorbell) -> Call:
    with pytest.raises(DatabaseUnavailable):
        async with open_database(settings.database):
            pass
    return bell.calls[0]


@shows("database.pooler_mode", {"session": True, "transaction": False})
async def statements_are_prepared_by_name(trial: Trial) -> bool:
    async with open_database(trial.settings().database) as db, db.connection() as connection:
        await connection.fetch_val("SELECT CAST(:x AS int)", {"x": 1})
        return bool(await connection.fetch_val("SELECT count(*) > 0 FROM pg_prepared_statements WHERE name <> ''"))


@shows("database.migrate_at_start", {"true": True, "false": False})
async def the_schema_fits_after_the_start(trial: Trial) -> bool:
    settings = trial.settings()
    await migrate_down(settings.database, read_history().revisions[-2].id)
    async with open_resources(settings, Lifecycle()) as resources:
        return resources.schema_probe.result.ok
