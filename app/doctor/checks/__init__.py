"""Every check of the doctor, in the order in which its findings are told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.doctor.checks.database import database
from app.doctor.checks.disk import disk
from app.doctor.checks.engine import compose, engine, images
from app.doctor.checks.folders import folders
from app.doctor.checks.line_endings import line_endings
from app.doctor.checks.ownership import ownership
from app.doctor.checks.password import password
from app.doctor.checks.ports import compose_ports, server_port
from app.doctor.checks.python import python, venv
from app.doctor.checks.redis import redis
from app.doctor.checks.schema import schema
from app.doctor.checks.settings import overrides, settings
from app.doctor.checks.skew import clock
from app.doctor.checks.volume import volume
from app.doctor.finding import Finding
from app.doctor.patient import Patient

Check = Callable[[Patient], Awaitable[Finding]]

CHECKS: tuple[Check, ...] = (
    settings,
    overrides,
    python,
    venv,
    folders,
    ownership,
    disk,
    line_endings,
    server_port,
    database,
    password,
    schema,
    clock,
    redis,
    engine,
    compose,
    images,
    compose_ports,
    volume,
)


def name_of(check: Check) -> str:
    """As findings and the docs write it."""
    return getattr(check, "__name__", "check").replace("_", "-")
