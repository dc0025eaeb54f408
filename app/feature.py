"""What a feature brings to the house; each is declared once, in `app/bootstrap.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from quart import Blueprint

from app.core.queue import Event
from app.core.resources import Resources
from app.sockets import Topic
from app.tasks import Handler, Registry, Schedule, Subscriber
from app.web import Authenticator, PromptAnswer, Reviewer


@dataclass(frozen=True)
class Feature:
    """One folder under `app/features`: what it answers, pushes and does later; for one, how callers are known.

    `commands` maps the name of a command of `app` to where it is found, as `package.module:command`; it is imported
    when it is called. `develop` is called by `app dev` once all is open, and gives lines for its banner, label to text.
    `prompt` are answers of its routes that are always the same. With `operations` its routes tell how a process is, so
    that workers answer them too.
    """

    name: str
    routes: tuple[Blueprint, ...] = ()
    prompt: tuple[PromptAnswer, ...] = ()
    topics: tuple[Topic, ...] = ()
    tasks: tuple[Handler[Any], ...] = ()
    events: tuple[Event[Any], ...] = ()
    subscribers: tuple[Subscriber[Any], ...] = ()
    schedules: tuple[Schedule[Any], ...] = ()
    authenticate: Authenticator | None = None
    review: Reviewer | None = None
    commands: Mapping[str, str] = field(default_factory=dict)
    develop: Callable[[Resources], Awaitable[Mapping[str, str]]] | None = None
    operations: bool = False


def registry_of(features: Iterable[Feature]) -> Registry:
    """Everything that the features declare for the worker; raises `WrongTasks`."""
    listed = list(features)
    return Registry(
        handlers=[each for feature in listed for each in feature.tasks],
        subscribers=[each for feature in listed for each in feature.subscribers],
        events=[each for feature in listed for each in feature.events],
        schedules=[each for feature in listed for each in feature.schedules],
    )
