"""What a feature brings to the house; each is declared once, in `app/bootstrap.py`."""

from __future__ import annotations

from dataclasses import dataclass

from quart import Blueprint

from app.web import Authenticator


@dataclass(frozen=True)
class Feature:
    """One folder under `app/features`: its name, the routes it answers, and, for one of them, how it knows callers."""

    name: str
    routes: tuple[Blueprint, ...] = ()
    authenticate: Authenticator | None = None
