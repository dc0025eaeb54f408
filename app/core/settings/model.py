"""`Settings`: everything that was decided before the start, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from . import sections
from .environment import Environment


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The typed sections, and where each value came from.

    `origins` names the layer of every key; `notices` are sentences worth a line in the log at start.
    """

    environment: Environment
    app: sections.App
    server: sections.Server
    database: sections.Database
    redis: sections.Redis
    log: sections.Log
    telemetry: sections.Telemetry
    session: sections.Session
    csrf: sections.Csrf
    jwt: sections.Jwt
    oidc: sections.Oidc
    rate_limit: sections.RateLimit
    websocket: sections.WebSocket
    worker: sections.Worker
    ai: sections.Ai
    payment: sections.Payment
    email: sections.Email
    origins: Mapping[str, str] = field(default_factory=_nothing, repr=False, compare=False)
    notices: tuple[str, ...] = field(default=(), repr=False, compare=False)
