"""The clock of this machine against the clock of the database."""

from __future__ import annotations

from app.doctor.contact import Reply
from app.doctor.finding import Finding, failed, ok, skipped, warning
from app.doctor.patient import Patient
from app.doctor.words import lasting

MEND = (
    "sudo timedatectl set-ntp true   # on the machine whose clock is wrong",
    "date -u   # which one it is; a virtual machine that slept is set right by restarting it",
)


async def clock(patient: Patient) -> Finding:
    """Tokens expire by one clock and leases by the other: seconds apart, either ends too early or too late."""
    if patient.settings is None:
        return skipped("clock", "the settings have faults")
    contact = await patient.contact()
    if contact.reply is not Reply.LET_IN:
        return skipped("clock", "there is no database to compare with: see database")
    apart = abs(contact.skew)
    seen = f"the database's clock is {lasting(apart)} {'ahead' if contact.skew > 0 else 'behind'}"
    if apart - contact.doubt > patient.limits.skew_failed:
        return failed("clock", f"{seen}: tokens and leases end at the wrong time", *MEND)
    if apart - contact.doubt > patient.limits.skew_warning:
        return warning("clock", f"{seen}: leases and short tokens will suffer", *MEND)
    return ok("clock", f"{apart:.3f} s between this machine and the database, give or take {contact.doubt:.3f} s")
