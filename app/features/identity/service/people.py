"""Rows of users as the people they stand for."""

from __future__ import annotations

from app.core.database import Row
from app.core.settings.sections import Session
from app.features.identity.models import Role, User


def user_of(row: Row) -> User:
    """`row` has the columns of `USER_COLUMNS`; others are left out."""
    return User(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        role=Role(row["role"]),
        is_active=row["is_active"],
        email_verified=row["email_verified"],
        second_factor=row["second_factor"],
        created_at=row["created_at"],
    )


def is_complete(settings: Session, row: Row) -> bool:
    """Whether a sign-in has all that is asked of it: a second factor where the settings require one (ASVS 6.3.3)."""
    return row["second_factor"] or not settings.require_second_factor
