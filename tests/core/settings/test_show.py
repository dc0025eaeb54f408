"""What `app config show` prints is the whole truth but for the secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as tries
from hypothesis import strategies as st

from app.core.settings.checks import ORDER
from app.core.settings.declarations import STORED
from app.core.settings.kinds import (
    Choice,
    Flag,
    Host,
    HttpUrl,
    Identifier,
    Kind,
    Line,
    LogLevels,
    Name,
    Networks,
    OptionalSecret,
    Origins,
    RedisUrl,
    Seconds,
    Share,
    WholeNumber,
)
from app.core.settings.kinds.log_levels import LEVELS
from app.core.settings.secret import MASK
from app.core.settings.show import as_json, as_text
from tests.core.settings.project import Project


def test_every_setting_is_shown_with_its_origin(project: Project) -> None:
    page = as_text(project.load("log.level=debug", PORT="9000", DB_PASSWORD="hunter2")).splitlines()

    assert "environment                  development         default" in page
    assert "port                         9000                environment (PORT)" in page
    assert "level                        debug               --set" in page
    assert f"password                     {MASK}          environment (DB_PASSWORD)" in page
    assert "cors_origins                 (none)              default" in page
    assert "smtp_password                (none)              default" in page
    assert len([line for line in page if line and not line.startswith(("[", " "))]) == len(STORED) + 1


def test_it_is_readable_at_100_columns(project: Project) -> None:
    environ = {item.variable: item.kind.to_text(item.default) for item in STORED.values() if not item.required}
    environ |= {"APP_SERVER__CORS_ORIGINS": "https://one.example,https://two.example", "DB_PASSWORD": "p"}
    environ["APP_LOG__LEVEL"] = "info,app=debug,databases=warning"

    page = as_text(project.load(**environ)).splitlines()

    assert max(map(len, page)) == 100
    assert "url                          redis://127.0.0.1:6379/0  environment (APP_REDIS__URL)" in page
    at = page.index("cors_origins                 https://one.example,https://two.example")
    assert page[at + 1] == f"{'environment (APP_SERVER__CORS_ORIGINS)':>100}"


def test_a_password_in_a_url_is_masked(project: Project) -> None:
    settings = project.load(REDIS_URL="redis://me:hunter2@cache/0", DATABASE_URL="postgresql://me:hunter2@db/n")

    page, machine = as_text(settings), json.dumps(as_json(settings))

    assert "hunter2" not in page + machine
    assert f"redis://{MASK}@cache/0" in page
    assert "password                     **********          environment (DATABASE_URL)" in page


def test_notices_are_shown(project: Project) -> None:
    settings = project.load(OPENAI_API_KEY="x")

    assert as_text(settings).endswith("\n\n" + settings.notices[0])
    assert as_json(settings)["notices"] == list(settings.notices)


def test_settings_made_by_hand_are_shown_too(project: Project) -> None:
    settings = replace(project.load(), origins={})

    assert "port                         8000                given by code" in as_text(settings)


def numbers(kind: WholeNumber) -> st.SearchStrategy[str]:
    return st.integers(kind.low, kind.high).map(str)


def durations(kind: Seconds) -> st.SearchStrategy[str]:
    return st.integers(int(kind.low * 1000) + 1, int(kind.high * 1000)).map(lambda number: f"{number / 1000:.3f}")


def names(kind: Name) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=kind.longest)


# Texts that a kind accepts.
TEXTS: dict[type[Kind[Any]], Callable[[Any], st.SearchStrategy[str]]] = {
    WholeNumber: numbers,
    Seconds: durations,
    Name: names,
    Line: lambda kind: st.from_regex(r"[A-Za-z<>@. ]{1,60}", fullmatch=True).map(lambda text: text[: kind.longest]),
    Flag: lambda _: st.sampled_from(["true", "no", "ON", "0"]),
    Choice: lambda kind: st.sampled_from([word.value for word in kind.words]),
    Host: lambda _: st.from_regex(r"[a-z]{1,10}(\.[a-z0-9]{1,10}){0,2}", fullmatch=True),
    Identifier: lambda _: st.text("aé ß'\"", min_size=1, max_size=20),
    LogLevels: lambda _: st.sampled_from(LEVELS).map(lambda level: f"info,app={level}"),
    Origins: lambda _: st.lists(st.sampled_from(["https://a.example", "http://b.example:8080"])).map(",".join),
    Networks: lambda _: st.lists(st.sampled_from(["10.0.0.0/8", "::1", "192.0.2.0/24"])).map(",".join),
    HttpUrl: lambda _: st.sampled_from(["", "http://otel:4318"]),
    Share: lambda _: st.integers(0, 1000).map(lambda number: f"{number / 1000:.3f}"),
    RedisUrl: lambda _: st.just("redis://cache/3"),
}

# Keys that are checked against each other can't be drawn freely.
TOGETHER = {key for rule in ORDER for key in (rule.key, rule.limit)} | {"oidc.issuer"}

ANY = st.fixed_dictionaries(
    {},
    optional={
        key: TEXTS[type(item.kind)](item.kind)
        for key, item in STORED.items()
        # A secret is not shown, so nothing that is shown can make the same settings.
        if not item.required and key not in TOGETHER and not isinstance(item.kind, OptionalSecret)
    },
)


@given(drawn=ANY)
@tries(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_shown_as_json_makes_the_same_settings(project: Project, drawn: dict[str, str]) -> None:
    settings = project.load(*(f"{key}={text}" for key, text in drawn.items()))

    shown = json.loads(json.dumps(as_json(settings)))
    overrides = [
        f"{key}={row['value'] if isinstance(row['value'], str) else json.dumps(row['value'])}"
        for key, row in shown["settings"].items()
        if row["value"] != MASK
    ]

    again = project.load(*overrides)
    assert again == settings
    assert as_json(again)["settings"] == {
        key: {"value": row["value"], "layer": row["layer"] if row["value"] == MASK else "--set"}
        for key, row in shown["settings"].items()
    }
