"""What a feature brings to the house: its name, its routes, its commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click
from quart import Blueprint

from app.core.resources import Resources


@dataclass(frozen=True)
class Feature:
    """One folder under `app/features`, declared once in `app/bootstrap.py`.

    `routes` builds the blueprint from the open resources, so that handlers are given what they need
    and no module holds a global connection. `commands` join the `app` program.
    """

    name: str
    routes: Callable[[Resources], Blueprint] | None = None
    commands: tuple[click.Command, ...] = ()
