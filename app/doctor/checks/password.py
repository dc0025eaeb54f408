"""The password against the data that were made with another one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from app.doctor.contact import WRONG_PASSWORD, Reply
from app.doctor.data import Data, Kind, data_behind
from app.doctor.finding import Finding, failed, ok, skipped
from app.doctor.patient import Patient

SECRET = Path(".local") / "secrets" / "database_password"
# Recreated, because a running container still sees a secret file that has been replaced since.
KEEP = (
    "docker compose up --detach --wait --force-recreate postgres && "
    "echo \"ALTER ROLE plinth PASSWORD :'new'\" | docker compose exec -T postgres "
    "sh -c 'psql -q -U plinth -d plinth -v new=\"$(cat /run/secrets/database_password)\"'   # keeps the data"
)
DISCARD = "docker compose down --volumes && make up   # deletes the data"
AGAIN = "make run   # stop the running one first; it mends the password when it starts"


async def password(patient: Patient) -> Finding:
    """A data folder keeps the password it was made with; a new secret beside it changes nothing in it."""
    if patient.settings is None:
        return skipped("password", "the settings have faults")
    contact = await patient.contact()
    if contact.reply in {Reply.LET_IN, Reply.TOO_OLD}:
        return ok("password", f"it fits; it comes from: {patient.settings.origins['database.password']}")
    if contact.sqlstate != WRONG_PASSWORD:
        return skipped("password", "nobody asked for it: see database")
    data = await data_behind(patient)
    if data is None:
        return skipped("password", "the server that refuses it is not ours: see database")
    seen = f"PostgreSQL refuses the password: {_why(patient, data)}"
    return failed("password", seen, *((KEEP, DISCARD) if data.kind is Kind.VOLUME else (AGAIN,)))


def _why(patient: Patient, data: Data) -> str:
    assert patient.settings is not None  # noqa: S101 - the caller has looked
    origin = patient.settings.origins["database.password"]
    kept = f"{data.name} keeps the one it was made with on {_day(data.made)}"
    secret = _changed(patient.root / SECRET)
    if not origin.startswith("generated") or secret is None:
        return f"{kept}, and the one from {origin} is another"
    if data.made < secret:
        return f"{kept}, and {SECRET} is newer: made on {_day(secret)}"
    return f"{data.name} has been given another one than {SECRET} holds"


def _changed(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _day(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d at %H:%M:%S}"
