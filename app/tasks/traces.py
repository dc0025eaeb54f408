"""One span for each run of a task, in the trace of the request that asked for it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from app.tasks.run import LOST, End, Outcome, Run

if TYPE_CHECKING:  # imported where traces are on, and nowhere else
    from app.core.tracing.tracing import Tracing

Execute = Callable[[Run], Awaitable[Outcome]]

# What is kept of an error begins with its class.
CLASS = re.compile(r"\w+")
FAILURES = {End.RETRY, End.DEAD}


def traced(execute: Execute, tracing: Tracing | None) -> Execute:
    """`execute` itself where nothing is traced: then no run pays for a layer that does nothing."""
    if tracing is None:
        return execute

    async def execute_traced(run: Run) -> Outcome:
        claimed = run.claimed
        with tracing.run(claimed.task_type, claimed.context, task_id=str(run.id), attempt=run.attempt) as span:
            run.trace_id = span.trace_id
            outcome = LOST  # of a run that ends the process
            try:
                outcome = await execute(run)
            finally:
                span.ended(outcome.end.value, _error_type(outcome))
        return outcome

    return execute_traced


def _error_type(outcome: Outcome) -> str | None:
    """What was asked for by the handler, or by a stop, is no error."""
    if outcome.end is End.LOST:
        return "lost"
    found = CLASS.match(outcome.error or "") if outcome.end in FAILURES else None
    return found.group() if found else None
