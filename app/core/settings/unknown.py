"""The faults for names that nothing declares, each with the nearest name that something does."""

from __future__ import annotations

from .declarations import SECTIONS, SETTINGS
from .faults import Fault, nearest


def unknown_key(key: str, source: str) -> Fault:
    """The fault for a `section.key` that is not declared."""
    section = key.partition(".")[0]
    if section in SECTIONS and not any(known.startswith(f"{section}.") for known in SETTINGS):
        return Fault(key, source, f"section {section} has no settings in this version")
    return Fault(key, source, "there is no such setting", meant=_meant(key.lower()))


def _meant(key: str) -> str:
    same_name = [item.key for item in SETTINGS.values() if item.name == key]
    return same_name[0] if same_name else nearest(key, SETTINGS)


def unknown_section(section: str, source: str) -> Fault:
    """The fault for a section that is not declared."""
    return Fault(section, source, "there is no such section", meant=nearest(section.lower(), SECTIONS))
