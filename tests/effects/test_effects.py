"""Every declared setting changes something that can be seen from outside, and no case is left without a setting."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.core.settings.declarations import SETTINGS
from app.core.settings.sections.server import HttpEngine
from tests.effects import (  # noqa: F401  (each declares the cases of its settings)
    of_app,
    of_body,
    of_database,
    of_email,
    of_jwt,
    of_log,
    of_migrations,
    of_oidc,
    of_pool,
    of_rate_limit,
    of_redis,
    of_server,
    of_session,
    of_telemetry,
    of_websocket,
    of_worker,
)
from tests.effects.case import LIMITS, VISIBLE, Trial, outlasts
from tests.harness.databases import Clones
from tests.harness.engines import usual_engine
from tests.harness.settings import TestSettings, make_settings

OF_THE_ENGINE = ("server.", "websocket.")  # sections of which an engine may lose a setting


def on_their_engines(keys: Iterable[str]) -> pytest.MarkDecorator:
    """Each setting on the usual engine; what the engine is given, on each."""
    usual = [usual_engine(os.environ)]
    pairs = [(engine, key) for key in keys for engine in (HttpEngine if key.startswith(OF_THE_ENGINE) else usual)]
    return pytest.mark.parametrize(("engine", "key"), pairs, indirect=["engine"], scope="module")


@pytest.fixture(scope="module")
def usual(settings_root: Path, clones: Clones, worker_redis_url: str, engine: HttpEngine) -> Iterator[TestSettings]:
    """One database for all cases: none of them leaves anything in it."""
    url = clones.make()
    yield make_settings(settings_root, database_url=url, redis_url=worker_redis_url, engine=engine)
    clones.drop(url)


def test_every_declared_setting_has_its_case_and_no_other() -> None:
    assert sorted([*VISIBLE, *LIMITS]) == sorted(SETTINGS)


@on_their_engines(VISIBLE)
def test_another_value_is_seen(key: str, usual: TestSettings) -> None:
    case = VISIBLE[key]
    expected = case.expected(usual)
    first, *others = expected

    # And back to the first: what differs is the value, not the order.
    seen = [(value, case.seen(Trial(key, value, usual))) for value in (first, *others, first)]

    assert seen == [(value, expected[value]) for value in (first, *others, first)]
    assert len(set(expected.values())) == len(expected) > 1


@on_their_engines(LIMITS)
async def test_a_longer_limit_lets_wait_longer(key: str, usual: TestSettings) -> None:
    assert await outlasts(LIMITS[key], key, usual)


class Deaf(TestSettings):
    """What settings would be that nobody reads: the value under trial, which is the last one, is lost."""

    def __call__(self, *overrides: str) -> Settings:
        return super().__call__(*overrides[:-1])


def test_a_setting_that_nobody_reads_is_found_out(usual: TestSettings) -> None:
    with pytest.raises(AssertionError):
        test_another_value_is_seen("database.pool_min", Deaf(usual.root, usual.environ))


async def test_a_limit_that_nobody_reads_is_found_out(usual: TestSettings) -> None:
    deaf = Deaf(usual.root, usual.environ)

    # Patient enough for any machine: it does not take that long.
    assert not await outlasts(LIMITS["redis.timeout"], "redis.timeout", deaf, patience=1000)
