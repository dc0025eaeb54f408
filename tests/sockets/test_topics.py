"""Which topic a name belongs to, who may do what with it, and which declarations end the start."""

from __future__ import annotations

from typing import cast

import pytest

from app.core.callers import Caller
from app.core.resources import Resources
from app.sockets import Asked, Topic, admins, anybody, nobody, signed_in
from app.sockets.patterns import NoSuchTopic, Topics, WrongTopics

ADA = Caller("ada")
ROOT = Caller("root", role="admin")


def topics(*patterns: str) -> Topics:
    return Topics((f"feature{number}", Topic(pattern, subscribe=anybody)) for number, pattern in enumerate(patterns))


def asked(caller: Caller | None, **parameters: str) -> Asked:
    return Asked(caller, "a", parameters, cast(Resources, None))


def test_open_parts_are_handed_to_the_rule() -> None:
    found = topics("orders:{id}:lines:{line}").match("orders:42:lines:x-7")

    assert found.topic.pattern == "orders:{id}:lines:{line}"
    assert found.parameters == {"id": "42", "line": "x-7"}


@pytest.mark.parametrize("name", ["order", "orders", "orders:1:2", "orders:1:lines", "invoices:1"])
def test_a_name_that_nobody_declared_is_not_found(name: str) -> None:
    with pytest.raises(NoSuchTopic):
        topics("orders:{id}", "orders:{id}:lines:{line}").match(name)


@pytest.mark.parametrize("order", [1, -1])
def test_the_narrower_pattern_goes_first_in_whatever_order_they_are_declared(order: int) -> None:
    found = topics(
        *["orders:{id}", "orders:all", "orders:{id}:{part}", "orders:{id}:lines", "orders:all:lines"][::order]
    )

    assert found.match("orders:all").topic.pattern == "orders:all"
    assert found.match("orders:7").topic.pattern == "orders:{id}"
    assert found.match("orders:7:lines").topic.pattern == "orders:{id}:lines"
    assert found.match("orders:all:lines").topic.pattern == "orders:all:lines"
    assert found.match("orders:all:notes").topic.pattern == "orders:{id}:{part}"


@pytest.mark.parametrize(
    ("one", "other"),
    [("orders:{id}", "orders:{number}"), ("orders", "orders"), ("a:{x}:c", "a:b:{y}"), ("a:{x}:{y}", "a:{z}:{y}")],
)
def test_names_that_could_belong_to_two_end_the_start_and_both_features_are_named(one: str, other: str) -> None:
    with pytest.raises(WrongTopics, match=r"feature0 and feature1 declare") as refused:
        topics(one, other)

    assert repr(one) in str(refused.value)
    assert repr(other) in str(refused.value)


@pytest.mark.parametrize("pattern", ["everyone", "everyone:{x}", "user:{id}", "user", "user:me"])
def test_the_service_s_own_topics_are_nobody_else_s(pattern: str) -> None:
    with pytest.raises(WrongTopics, match=r"feature0 declares .* the service's own"):
        topics(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "Orders",
        "orders:",
        "orders:{}",
        "orders:{Id}",
        "orders:x{id}",
        "{id}",
        "a:{x}:{x}",
        "a:b:c:d:e:f",
        "a:*",
        "a b",
    ],
)
def test_a_pattern_that_is_none_ends_the_start(pattern: str) -> None:
    with pytest.raises(WrongTopics, match=r"feature0 declares .* no such form"):
        topics(pattern)


async def test_a_user_s_own_topic_is_the_user_s_alone() -> None:
    own = topics().match("user:ada")

    assert await own.topic.subscribe(asked(ADA, **own.parameters))
    assert not await own.topic.subscribe(asked(ROOT, **own.parameters))
    assert not await own.topic.subscribe(asked(None, **own.parameters))
    assert not await own.topic.publish(asked(ADA, **own.parameters))


async def test_everybody_hears_everyone_and_no_client_says_it() -> None:
    everyone = topics().match("everyone").topic

    assert await everyone.subscribe(asked(None))
    assert not await everyone.publish(asked(ROOT))


async def test_the_rules_by_name() -> None:
    callers = (None, ADA, ROOT)

    told = {
        rule.__name__: [await rule(asked(caller)) for caller in callers]
        for rule in (anybody, signed_in, admins, nobody)
    }

    assert told == {
        "anybody": [True, True, True],
        "signed_in": [False, True, True],
        "admins": [False, False, True],
        "nobody": [False, False, False],
    }
