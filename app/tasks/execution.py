"""Calls the handler of a task and says what has become of it; whatever the handler does, it does not get past here."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import structlog
from structlog.contextvars import bind_contextvars

from app.core.queue.declared import WrongPayload
from app.core.resources import Resources
from app.tasks import store
from app.tasks.backoff import retry_delay
from app.tasks.declared import Handler, Subscriber
from app.tasks.failure import Describer
from app.tasks.outcomes import Discard, LeaseLost, RetryLater
from app.tasks.run import DONE, LOST, RELEASED, Cause, End, Outcome, Run
from app.tasks.store import Ending
from app.tasks.work import Delivery, Work

log = structlog.get_logger(__name__)


class Execution:
    """One for each runner."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._settings = resources.settings.worker
        self._describe = Describer(resources.settings)

    async def execute(self, run: Run) -> Outcome:
        """In a task and a context of the run's own. Raises nothing but what ends the process."""
        bind_contextvars(**run.about)
        try:
            await self._call(run)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | GeneratorExit):
                raise
            return self._judge(run, error)
        return LOST if run.cause is Cause.LOST and not run.ended_itself else DONE

    async def _call(self, run: Run) -> None:
        declared = run.runnable.declared
        if isinstance(declared, Handler):
            await declared.run(self._work(run, declared))
        else:
            await declared.run(self._delivery(run, declared))

    def _work(self, run: Run, handler: Handler[Any]) -> Work[Any]:
        return Work(
            id=run.id,
            payload=handler.task.decode(run.claimed.payload),
            attempt=run.attempt,
            lease_seq=run.claimed.lease_seq,
            resources=self._resources,
            settle=lambda: self._settle(run),
        )

    def _delivery(self, run: Run, subscriber: Subscriber[Any]) -> Delivery[Any]:
        stored = run.claimed.payload
        try:
            event_id, aggregate_id, data = UUID(stored["event_id"]), UUID(stored["aggregate_id"]), stored["data"]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise WrongPayload(f"{WrongPayload.__doc__} It is no event.") from error
        return Delivery(
            id=run.id,
            payload=subscriber.event.decode(data),
            attempt=run.attempt,
            lease_seq=run.claimed.lease_seq,
            resources=self._resources,
            settle=lambda: self._settle(run),
            event_id=event_id,
            aggregate_id=aggregate_id,
            handler_name=subscriber.name,
        )

    async def _settle(self, run: Run) -> None:
        database = self._resources.database
        transaction = database.open_transaction()
        run.ends_itself = True  # from here on, a row that is not found may have been ended by this very run
        if not await store.finish(database, [Ending(run.id, run.claimed.lease_seq)]):
            run.ends_itself = False
            raise LeaseLost(LeaseLost.__doc__)

        def committed() -> None:
            run.ended_itself = True

        transaction.after_commit(committed)

    def _judge(self, run: Run, error: BaseException) -> Outcome:
        if run.ended_itself:
            log.warning("task_failed_after_its_end", error=self._describe(error))
            return DONE
        if isinstance(error, LeaseLost) or run.cause is Cause.LOST:
            return LOST
        if isinstance(error, RetryLater):
            return Outcome(End.LATER, delay=error.delay)
        if isinstance(error, Discard):
            return self._dead(run, error)
        if run.cause is Cause.RELEASED:
            return RELEASED
        if run.cause is Cause.TIMEOUT and isinstance(error, asyncio.CancelledError):
            error = TimeoutError(f"it had not ended after {run.runnable.timeout:g} s").with_traceback(
                error.__traceback__
            )
        return self.failed(run, error)

    def failed(self, run: Run, error: BaseException) -> Outcome:
        """Again later, or dead where it has failed often enough."""
        claimed = run.claimed
        if claimed.retry_count >= claimed.max_retries:
            return self._dead(run, error)
        delay, said = retry_delay(self._settings, claimed.retry_count), self._describe(error)
        log.warning("task_failed", error=said, retry_in=round(delay, 2), **run.about)
        return Outcome(End.RETRY, delay=delay, error=said)

    def _dead(self, run: Run, error: BaseException) -> Outcome:
        said = self._describe(error)
        log.error("task_dead", error=said, **run.about)
        return Outcome(End.DEAD, error=said)
