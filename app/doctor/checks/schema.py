"""The schema against the revision that this code was written for."""

from __future__ import annotations

from app.doctor.contact import Reply
from app.doctor.data import Kind, data_behind
from app.doctor.finding import Finding, failed, ok, skipped, warning
from app.doctor.patient import Patient


async def schema(patient: Patient) -> Finding:
    """Behind is one command away; ahead means that this code is the old one."""
    if patient.settings is None:
        return skipped("schema", "the settings have faults")
    contact = await patient.contact()
    if contact.reply is not Reply.LET_IN:
        return skipped("schema", "there is no database to look into: see database")

    from app.core.migrations import Fit, read_history  # noqa: PLC0415 - a missing package is this check's fault only
    from app.core.migrations.state import judge  # noqa: PLC0415

    state = judge(read_history(patient.root / "migrations"), contact.revision)
    if state.fit is Fit.CURRENT:
        return ok("schema", state.sentence)
    if state.fit is Fit.AHEAD:
        return failed(
            "schema", state.sentence, "git pull   # for the code that knows this revision", *await _anew(patient)
        )
    if patient.settings.database.migrate_at_start:
        return warning("schema", f"{state.sentence} The next start does it, too.", f"{patient.program} migrate up")
    return failed("schema", state.sentence, f"{patient.program} migrate up")


async def _anew(patient: Patient) -> list[str]:
    """Our own data can be begun anew; nobody else's are ours to delete."""
    data = await data_behind(patient)
    if data is None:
        return []
    begin = "docker compose down --volumes && make up" if data.kind is Kind.VOLUME else "make clean && make run"
    return [f"{begin}   # deletes the data"]
