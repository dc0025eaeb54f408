"""Which declared topic a name belongs to; what could be read in two ways is refused at the start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from app.core.errors import NotFound
from app.core.realtime.messages import EVERYONE, user_topic
from app.sockets.topics import Asked, Topic, anybody

WORD = re.compile(r"[a-z][a-z0-9_]*")
PART = re.compile(r"[A-Za-z0-9_.-]{1,64}")
OPEN = re.compile(r"\{([a-z][a-z0-9_]*)\}")
MOST_PARTS = 5

FORM = "Write word[:part]..., with at most four parts, each a word or a {name}, such as orders:{id}."


class WrongTopics(Exception):
    """The topics that features declare can't be told apart, or have no form of a topic."""


class NoSuchTopic(NotFound):
    """There is no topic of this name."""


async def own(asked: Asked) -> bool:
    """The user whose topic it is."""
    return asked.caller is not None and asked.caller.id == asked.parameters["id"]


# Every socket hears its own of these without asking; clients publish to none.
RESERVED = (Topic(EVERYONE, subscribe=anybody), Topic(user_topic("{id}"), subscribe=own))


def own_topics(user_id: str | None) -> tuple[str, ...]:
    """What a socket hears without asking."""
    return (EVERYONE,) if user_id is None else (EVERYONE, user_topic(user_id))


@dataclass(frozen=True)
class Pattern:
    """A declared topic, taken apart: each part is a literal, or None where it is open."""

    topic: Topic
    feature: str
    literals: tuple[str | None, ...]
    names: tuple[str, ...]

    def parameters(self, parts: Sequence[str]) -> dict[str, str] | None:
        """What the open parts hold; None where these are not parts of this pattern."""
        if any(literal not in {None, part} for literal, part in zip(self.literals, parts, strict=True)):
            return None
        left_open = (part for literal, part in zip(self.literals, parts, strict=True) if literal is None)
        return dict(zip(self.names, left_open, strict=True))


@dataclass(frozen=True)
class Match:
    """The topic that a name belongs to, and what its open parts hold."""

    topic: Topic
    parameters: Mapping[str, str]


class Topics:
    """All topics of a process; the pattern with the literal in the place of another's open part goes first."""

    def __init__(self, declared: Iterable[tuple[str, Topic]] = ()) -> None:
        """`declared` are pairs of a feature's name and a topic of it. Raises `WrongTopics`."""
        patterns = [_compiled(feature, topic) for feature, topic in declared]
        for pattern in patterns:
            _refuse_reserved(pattern)
        for one, other in combinations(patterns, 2):
            _refuse_ambiguous(one, other)
        patterns += [_compiled("realtime", topic) for topic in RESERVED]
        patterns.sort(key=lambda pattern: pattern.literals.count(None))
        self._by_word: dict[tuple[str | None, int], list[Pattern]] = {}
        for pattern in patterns:
            self._by_word.setdefault((pattern.literals[0], len(pattern.literals)), []).append(pattern)

    def match(self, name: str) -> Match:
        """Raises `NoSuchTopic`; `name` must have the form of one."""
        parts = name.split(":")
        for pattern in self._by_word.get((parts[0], len(parts)), ()):
            if (parameters := pattern.parameters(parts)) is not None:
                return Match(pattern.topic, parameters)
        raise NoSuchTopic


def _compiled(feature: str, topic: Topic) -> Pattern:
    word, *parts = topic.pattern.split(":")
    names = [found[1] for part in parts if (found := OPEN.fullmatch(part))]
    formed = WORD.fullmatch(word) and all(OPEN.fullmatch(part) or PART.fullmatch(part) for part in parts)
    if not formed or len(parts) >= MOST_PARTS or len(set(names)) < len(names):
        raise WrongTopics(f"The feature {feature} declares the topic {topic.pattern!r}, which has no such form. {FORM}")
    literals = (word, *(None if OPEN.fullmatch(part) else part for part in parts))
    return Pattern(topic, feature, literals, tuple(names))


def _refuse_reserved(pattern: Pattern) -> None:
    if pattern.literals[0] in {topic.pattern.split(":")[0] for topic in RESERVED}:
        raise WrongTopics(
            f"The feature {pattern.feature} declares the topic {pattern.topic.pattern!r}, but {pattern.literals[0]} is "
            "the service's own; take another word."
        )


def _refuse_ambiguous(one: Pattern, other: Pattern) -> None:
    """Two patterns may share names only where one of them is narrower in every part."""
    if len(one.literals) != len(other.literals):
        return
    pairs = list(zip(one.literals, other.literals, strict=True))
    if any(None not in pair and pair[0] != pair[1] for pair in pairs):
        return
    if any(pair[0] is None and pair[1] is not None for pair in pairs) == any(
        pair[1] is None and pair[0] is not None for pair in pairs
    ):
        raise WrongTopics(
            f"The features {one.feature} and {other.feature} declare the topics {one.topic.pattern!r} and "
            f"{other.topic.pattern!r}, and a name could belong to either; make one of them narrower in every part."
        )
