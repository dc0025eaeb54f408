"""The probe behind readiness: whether the schema is still the one that this code was written for."""

from __future__ import annotations

from app.core.clock import Clock
from app.core.database import ConnectionTrouble, Database
from app.core.migrations.errors import SchemaMismatch
from app.core.migrations.revisions import read_history
from app.core.migrations.state import Fit, schema_state
from app.core.probe import Probe


class SchemaCheck:
    """Call it to check; it raises `SchemaMismatch`, whose text names the revision expected and the one found.

    The files are read once, here: what counts is the code that runs, not what is unpacked beside it later.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._history = read_history()
        self._fitted = False

    async def __call__(self) -> None:
        try:
            state = await schema_state(self._db, self._history)
        except ConnectionTrouble:
            if self._fitted:
                return  # an outage does not change the schema, and the database's own probe tells of it
            raise
        self._fitted = state.fit is Fit.CURRENT
        if not self._fitted:
            raise SchemaMismatch(state.sentence)


def schema_probe(db: Database, *, clock: Clock | None = None) -> Probe:
    """As often as the database's own probe, so that a finished migration turns readiness within a second."""
    settings = db.settings
    # Longer than any query may take: the check is the one to say that the database does not answer.
    patience = settings.acquire_timeout + settings.command_timeout
    return Probe("migrations", SchemaCheck(db), interval=settings.health_interval, timeout=patience, clock=clock)
