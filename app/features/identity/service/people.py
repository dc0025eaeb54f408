"""Rows of users as the people they stand for."""

from __future__ import annotations

from app.core.database import Row
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
