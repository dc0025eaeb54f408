"""What a feature brings to the house; each is declared once, in `app/bootstrap.py`."""

from __future__ import annotations

from dataclasses import dataclass

from quart import Blueprint

from app.sockets import Topic
from app.web import Authenticator, Reviewer


@dataclass(frozen=True)
class Feature:
    """One folder under `app/features`: what it answers, what it pushes, and, for one of them, how it knows callers."""

    name: str
    routes: tuple[Blueprint, ...] = ()
    topics: tuple[Topic, ...] = ()
    authenticate: Authenticator | None = None
    review: Reviewer | None = None
