"""The room that is left for data."""

from __future__ import annotations

import shutil

from app.doctor.finding import Finding, failed, ok, skipped, warning
from app.doctor.once import in_thread
from app.doctor.patient import Patient


async def disk(patient: Patient) -> Finding:
    """A full disk stops PostgreSQL in the middle of a write."""
    if not patient.checkout:
        return skipped("disk", "this is not a checkout, so no data are kept here")
    data = patient.root / ".local"
    folder = data if data.is_dir() else patient.root
    free = (await in_thread(lambda: shutil.disk_usage(folder))).free
    seen = f"{_size(free)} free where .local lies"
    look = "df -h . && du -xsh .local   # what takes the room"
    if free < patient.limits.disk_failed:
        return failed("disk", f"{seen}: PostgreSQL stops when it can't write", look, "docker system prune")
    if free < patient.limits.disk_warning:
        return warning("disk", f"{seen}: that will not last", look)
    return ok("disk", seen)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
