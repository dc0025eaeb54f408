"""The first sign-in of a newcomer: an administrator that `app dev` makes where nobody is there yet."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from app.core.resources import Resources
from app.core.settings import PROJECT_ROOT
from app.features.identity.hashing import hashing_of
from app.features.identity.models import Role
from app.features.identity.passwords import new_password
from app.features.identity.repository.administration import count_users
from app.features.identity.repository.users import select_user_to_sign_in
from app.features.identity.service.users import create_user

EMAIL = "admin@plinth.local"
FILE = PROJECT_ROOT / ".local" / "first-sign-in"
LABEL = "Sign in"


async def first_sign_in(resources: Resources, *, file: Path = FILE) -> Mapping[str, str]:
    """What `app dev` tells: the password once, then where it is kept, and nothing once it was changed."""
    if await count_users(resources.database) == 0:
        return {LABEL: f"{EMAIL} with the password {await _make(resources, file)}"}
    if await _still_holds(resources, file):
        return {LABEL: f"{EMAIL} with the password in {_shown(file)}"}
    return {}


async def _make(resources: Resources, file: Path) -> str:
    """Kept first: a password that is nowhere would be of no use to anybody, and the next start finds users."""
    password = new_password()
    _keep(file, password)
    await create_user(resources, email=EMAIL, name="Administrator", password=password, role=Role.ADMIN)
    return password


async def _still_holds(resources: Resources, file: Path) -> bool:
    kept, row = _kept(file), await select_user_to_sign_in(resources.database, EMAIL)
    if kept is None or row is None or not row["is_active"]:
        return False
    return await hashing_of(resources).verify(row["password_hash"], kept)


def _keep(file: Path, password: str) -> None:
    """For its owner alone, whatever rights a file had that stood there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as kept:
        kept.write(f"{password}\n")


def _kept(file: Path) -> str | None:
    try:
        return file.read_text().rstrip("\n")
    except FileNotFoundError:
        return None


def _shown(file: Path) -> str:
    return str(file.relative_to(PROJECT_ROOT)) if file.is_relative_to(PROJECT_ROOT) else str(file)
