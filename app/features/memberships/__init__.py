"""What users have paid for, and what was charged."""

from __future__ import annotations

from app.feature import Feature

from . import tables

__all__ = ["feature", "tables"]

feature = Feature(name="memberships")
