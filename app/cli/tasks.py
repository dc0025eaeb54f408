"""`app tasks`: what waits, runs and failed, and the means to have it run again or end it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import click

from app.core.database import Database
from app.core.exit_codes import ExitCode
from app.core.queue import Priority
from app.tasks import operations
from app.tasks.operations import FINISHED, NEWEST, NOT_DONE, STATUSES, Outcome, TaskDetails, TaskLine, TypeCount
from app.terminal.context import CliContext, pass_context
from app.terminal.operating import (
    Age,
    Id,
    ago,
    cut_to_terminal,
    echo_json,
    line_of,
    moment_text,
    on_database,
    printable,
    span,
)
from app.terminal.table import table

TASK_ID = Id("task")
HEAD = ("ID", "TYPE", "STATUS", "PRIORITY", "RETRIES", "CRASHES", "DUE/AGE", "WORKER", "ERROR")
COUNT_HEAD = ("TYPE", "WAITING", "PENDING", "RUNNING", "DEAD", "CANCELLED", "OLDEST DUE")


@click.group()
def tasks() -> None:
    """Background work: what waits, runs and failed, and steering it.

    A task is waiting (for an earlier one of its order), pending, running, done, dead (it has failed too often) or
    cancelled. See docs/tasks.md.
    """


@tasks.command(name="list")
@click.option("--status", type=click.Choice(STATUSES), help="Only those in this state; else all that are not done.")
@click.option("--type", "task_type", metavar="TYPE", help="Only those of this type.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", type=TASK_ID, metavar="ID", help="Go on behind this one: next_cursor of the list before.")
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of columns.")
@pass_context
def list_(
    context: CliContext, status: str | None, task_type: str | None, limit: int, cursor: UUID | None, machine: bool
) -> None:
    """List tasks, newest first: what waits, runs or is dead.

    RETRIES are failures so far and how many are allowed; CRASHES are workers that were lost while they ran it.
    Payloads are not listed, as they may hold personal data: `app tasks show ID`.
    """
    statuses = (status,) if status else NOT_DONE

    async def work(db: Database) -> tuple[datetime, list[TaskLine], list[TypeCount]]:
        found = await operations.list_tasks(
            db, statuses=statuses, task_type=task_type, before=cursor or NEWEST, limit=limit + 1
        )
        counts = [] if machine else await operations.count_tasks(db)
        return await operations.database_time(db), found, counts

    now, found, counts = on_database(context, work)
    items, more = found[:limit], len(found) > limit
    if machine:
        echo_json({"items": items, "next_cursor": items[-1].id if more else None})
        return
    click.echo(_summary([each for each in counts if task_type in (None, each.task_type)], now))
    if items:
        click.echo(_lines(items, now))
    if more:
        click.echo(f"There are more: --cursor {items[-1].id}", err=True)


@tasks.command()
@click.argument("task_id", metavar="ID", type=TASK_ID)
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of lines.")
@pass_context
def show(context: CliContext, task_id: UUID, machine: bool) -> None:
    """Show everything about one task, with its payload and its error.

    The payload may hold personal data. Exits 1 where there is no such task.
    """

    async def work(db: Database) -> tuple[datetime, TaskDetails]:
        found = await operations.show_task(db, task_id)
        return await operations.database_time(db), found

    now, found = on_database(context, work, about=task_id)
    if machine:
        echo_json(found)
    else:
        click.echo("\n".join(_details(found, now)))


@tasks.command()
@click.argument("ids", metavar="[ID]...", type=TASK_ID, nargs=-1)
@click.option("--dead", is_flag=True, help="All dead ones.")
@click.option("--type", "task_type", metavar="TYPE", help="With --dead: only those of this type.")
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of sentences.")
@pass_context
def retry(context: CliContext, ids: tuple[UUID, ...], dead: bool, task_type: str | None, machine: bool) -> None:
    """Have dead or cancelled tasks run again.

    Their failures and crashes are counted from 0 again. A task is refused where another one with the same
    dedupe_key waits or runs. Exits 1 where one of the named tasks was refused.
    """
    if bool(ids) == dead or (task_type and not dead):
        raise click.UsageError("Name the tasks, or say --dead, which may be narrowed by --type.")

    async def work(db: Database) -> Outcome:
        return await operations.retry_dead(db, task_type=task_type) if dead else await operations.retry_tasks(db, ids)

    _tell(on_database(context, work), "retried", "to be retried", machine=machine)


@tasks.command()
@click.argument("ids", metavar="[ID]...", type=TASK_ID, nargs=-1)
@click.option("--type", "task_type", metavar="TYPE", help="All of this type that wait or run.")
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of sentences.")
@pass_context
def cancel(context: CliContext, ids: tuple[UUID, ...], task_type: str | None, machine: bool) -> None:
    """End tasks that wait or run.

    One that runs is ended as soon as its worker hears of it; whatever that worker still does, it can't settle the
    task any more. Exits 1 where one of the named tasks was refused.
    """
    if bool(ids) == bool(task_type):
        raise click.UsageError("Name the tasks, or a --type.")

    async def work(db: Database) -> Outcome:
        return await (operations.cancel_type(db, task_type) if task_type else operations.cancel_tasks(db, ids))

    _tell(on_database(context, work), "cancelled", "to be cancelled", machine=machine)


@tasks.command()
@click.option("--status", type=click.Choice(FINISHED), required=True, help="Which ones.")
@click.option("--type", "task_type", metavar="TYPE", help="Only those of this type.")
@click.option("--older-than", type=Age(), default="0s", help="Only what ended so long ago: 90m, 12h, 7d, 4w.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of a sentence; needs --yes.")
@pass_context
def purge(
    context: CliContext, status: str, task_type: str | None, older_than: timedelta, yes: bool, machine: bool
) -> None:
    """Delete finished tasks for good, before the sweep does.

    Asks before it does so, unless --yes is given.
    """
    if machine and not yes:
        raise click.UsageError("--json asks nothing, so say --yes, too.")

    async def count(db: Database) -> tuple[datetime, int]:
        before = await operations.database_time(db) - older_than
        return before, await operations.count_purgeable(db, status=status, before=before, task_type=task_type)  # type: ignore[arg-type]  # click has checked it

    before, number = on_database(context, count)
    if number and not yes:
        click.confirm(f"This deletes {_number(number, f'{status} task')} for good. Do it?", abort=True)

    async def delete(db: Database) -> int:
        return await operations.purge_tasks(db, status=status, before=before, task_type=task_type)  # type: ignore[arg-type]  # click has checked it

    deleted = on_database(context, delete) if number else 0
    if machine:
        echo_json({"deleted": deleted})
    else:
        click.echo(f"{_number(deleted, f'{status} task')} deleted.")


@tasks.command()
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of columns.")
@pass_context
def counts(context: CliContext, machine: bool) -> None:
    """Count the tasks of each type in each state, but for the done ones.

    OLDEST DUE is for how long the oldest pending one could have been run: it grows where there are too few workers.
    """

    async def work(db: Database) -> tuple[datetime, list[TypeCount]]:
        found = await operations.count_tasks(db)
        return await operations.database_time(db), found

    now, found = on_database(context, work)
    if machine:
        echo_json({"types": found})
    else:
        click.echo(table(COUNT_HEAD, [_count(each, now) for each in found]) if found else _summary([], now))


def _summary(counts: Sequence[TypeCount], now: datetime) -> str:
    """One line over all types."""
    states = ("waiting", "pending", "running", "dead", "cancelled")
    numbers = [f"{total} {state}" for state in states if (total := sum(getattr(each, state) for each in counts))]
    due = [each.oldest_due_at for each in counts if each.oldest_due_at]
    oldest = f"; the oldest pending one has been due for {span((now - min(due)).total_seconds())}" if due else ""
    return f"{', '.join(numbers)}{oldest}." if numbers else "Nothing waits, runs or is dead."


def _count(each: TypeCount, now: datetime) -> list[str]:
    due = span((now - each.oldest_due_at).total_seconds()) if each.oldest_due_at else "-"
    numbers = (each.waiting, each.pending, each.running, each.dead, each.cancelled)
    return [line_of(each.task_type), *map(str, numbers), due]


def _lines(items: Sequence[TaskLine], now: datetime) -> str:
    rows = [_row(each, now) for each in items]
    left = sum(max(len(row[at]) for row in (HEAD, *rows)) + 2 for at in range(len(HEAD) - 1))
    return table(HEAD, [(*row[:-1], cut_to_terminal(row[-1], column=left)) for row in rows])


def _row(task: TaskLine, now: datetime) -> tuple[str, ...]:
    return (
        str(task.id),
        line_of(task.task_type),
        task.status,
        Priority(task.priority).name.lower(),
        f"{task.retry_count}/{task.max_retries}",
        str(task.crash_count),
        _when(task, now),
        line_of(task.locked_by),
        line_of(task.error),
    )


def _when(task: TaskLine, now: datetime) -> str:
    """When a pending one is due, when a finished one ended, else how old it is."""
    if task.finished_at:
        return ago(task.finished_at, now)
    if task.status == "pending":
        return f"due {ago(task.run_at, now)}" if task.run_at <= now else ago(task.run_at, now)
    return span((now - task.created_at).total_seconds())


def _details(task: TaskDetails, now: datetime) -> Iterator[str]:
    facts = {
        "id": str(task.id),
        "type": task.task_type,
        "status": task.status,
        "priority": Priority(task.priority).name.lower(),
        "retries": f"{task.retry_count} of {task.max_retries}",
        "crashes": str(task.crash_count),
        "created": moment_text(task.created_at, now),
        "due": moment_text(task.run_at, now),
        "finished": moment_text(task.finished_at, now),
        "worker": task.locked_by,
        "lease until": moment_text(task.locked_until, now),
        "lease number": str(task.lease_seq),
        "dedupe key": task.dedupe_key,
        "order": f"{task.order_key} at {task.order_position}" if task.order_key else None,
        "context": ", ".join(f"{name}={value}" for name, value in task.context.items()),
    }
    for name, value in facts.items():
        yield f"{name + ':':<14}{line_of(value)}"
    yield f"payload:\n{json.dumps(task.payload, indent=2)}"
    if task.last_error:
        yield f"error:\n{printable(task.last_error)}"


def _tell(outcome: Outcome, done: str, to_do: str, *, machine: bool) -> None:
    """How many, and each refusal; exits 1 where there is one."""
    if machine:
        refused = [{"id": each, "code": error.code, "error": error.message} for each, error in outcome.refused.items()]
        echo_json({done: outcome.done, "refused": refused})
    else:
        for task_id, error in outcome.refused.items():
            click.echo(f"{task_id}: {error.message}", err=True)
        nothing = not (outcome.done or outcome.refused)
        click.echo(f"There was nothing {to_do}." if nothing else f"{_number(len(outcome.done), 'task')} {done}.")
    sys.exit(ExitCode.UNEXPECTED if outcome.refused else ExitCode.OK)


def _number(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"
