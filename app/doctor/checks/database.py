"""What answers where the database should be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.core.settings.sections import Database
from app.doctor.checks.ports import holder
from app.doctor.contact import OLDEST, WRONG_PASSWORD, Contact, Reply
from app.doctor.data import LOCAL, data_behind
from app.doctor.embedded import database_is_chosen
from app.doctor.finding import Finding, failed, ok, skipped, warning
from app.doctor.patient import Patient

CONNECTIONS = "SELECT application_name, count(*) FROM pg_stat_activity GROUP BY 1"


@dataclass(frozen=True)
class Case:
    """One visit, and what its finding needs: who holds the port, and whether anybody asked for this database."""

    patient: Patient
    target: Database
    contact: Contact
    who: str
    chosen: bool

    @property
    def where(self) -> str:
        return f"{self.target.host}:{self.target.port}{self.who}"

    @property
    def login(self) -> str:
        return f"-h {self.target.host} -p {self.target.port} -U {self.target.user}"

    def trouble(self, seen: str, *remedy: str) -> Finding:
        """One that nobody asked for may be foreign: `make run` brings its own, on a free port."""
        another = [f"{self.patient.program} config show   # where host, port, name and user come from"]
        if self.patient.checkout:
            another.append("make run   # brings a PostgreSQL 18 of its own, on a free port")
        return (failed if self.chosen else warning)("database", seen, *(remedy or another))


async def database(patient: Patient) -> Finding:
    """From 'nothing listens' to 'it lets us in', each with its own words."""
    if patient.settings is None:
        return skipped("database", "the settings have faults")
    target = patient.settings.database
    contact = await patient.contact()
    case = Case(patient, target, contact, await _who(patient, target), database_is_chosen(patient.settings))
    if contact.sqlstate == WRONG_PASSWORD and await data_behind(patient):
        return ok("database", f"PostgreSQL at {case.where} is our own, but refuses the password: see password")
    return ANSWERS.get(contact.sqlstate or contact.reply, _otherwise)(case)


async def _who(patient: Patient, target: Database) -> str:
    """Behind an address of this machine a process can be named."""
    return f" ({(await holder(patient, target.port)).name})" if target.host in LOCAL else ""


def _inside(case: Case) -> Finding:
    return ok("database", f"PostgreSQL {case.contact.version} at {case.where} lets us in")


def _too_old(case: Case) -> Finding:
    return case.trouble(f"PostgreSQL {case.contact.version} at {case.where} is not ours: it is older than {OLDEST}")


def _nobody(case: Case) -> Finding:
    seen = f"nothing listens at {case.target.host}:{case.target.port}"
    if case.chosen:
        return case.trouble(seen)
    return ok("database", f"{seen}, and nothing has to: make run and make up bring their own")


def _no_host(case: Case) -> Finding:
    return case.trouble(f"the host name {case.target.host} is unknown ({case.contact.said})")


def _silent(case: Case) -> Finding:
    return case.trouble(f"{case.where} takes connections and says nothing: a stopped PostgreSQL, or none at all")


def _stranger(case: Case) -> Finding:
    return case.trouble(f"what answers at {case.where} is not PostgreSQL but {case.contact.said}")


def _no_tls(case: Case) -> Finding:
    seen = f"{case.where} does not give the encryption that database.sslmode={case.target.sslmode} asks for"
    return case.trouble(f"{seen} ({case.contact.said})", f"{case.patient.program} --set database.sslmode=prefer doctor")


def _foreign(case: Case) -> Finding:
    return case.trouble(
        f"a PostgreSQL that is not ours is at {case.where}: it refuses the password of {case.target.user}, "
        "or knows no such user"
    )


def _no_database(case: Case) -> Finding:
    seen = f"PostgreSQL at {case.where} has no database {case.target.name}: is it ours?"
    return case.trouble(seen, f"createdb {case.login} {case.target.name}")


def _full(case: Case) -> Finding:
    seen = f"PostgreSQL at {case.where} has no connection left ({case.contact.said})"
    return case.trouble(seen, f"psql {case.login} -c '{CONNECTIONS}' postgres   # who has them")


def _starting(case: Case) -> Finding:
    seen = f"PostgreSQL at {case.where} is not ready ({case.contact.said})"
    return warning("database", seen, f"{case.patient.program} doctor   # again, in a moment")


def _otherwise(case: Case) -> Finding:
    if case.contact.reply is Reply.TURNED_AWAY:
        return case.trouble(f"PostgreSQL at {case.where} turns us away: {case.contact.said}")
    return case.trouble(f"no way to {case.target.host}:{case.target.port}: {case.contact.said}")


# By PostgreSQL's error code where it gave one, else by how far the visit got.
ANSWERS: dict[str | Reply, Callable[[Case], Finding]] = {
    Reply.LET_IN: _inside,
    Reply.TOO_OLD: _too_old,
    Reply.NOBODY: _nobody,
    Reply.NO_HOST: _no_host,
    Reply.SILENT: _silent,
    Reply.STRANGER: _stranger,
    Reply.NO_TLS: _no_tls,
    WRONG_PASSWORD: _foreign,
    "3D000": _no_database,
    "53300": _full,
    "57P03": _starting,
}
