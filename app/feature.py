"""What a feature brings to the house; each is declared once, in `app/bootstrap.py`."""

from __future__ import annotations

from dataclasses import dataclass

from quart import Blueprint


@dataclass(frozen=True)
class Feature:
    """One folder under `app/features`: its name, and the routes it answers."""

    name: str
    routes: tuple[Blueprint, ...] = ()
