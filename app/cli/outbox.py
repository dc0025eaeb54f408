"""`app outbox`: events on their way to their subscribers, and a second delivery where one is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import click

from app.core.database import Database
from app.tasks import operations
from app.tasks import outbox as events
from app.tasks.operations import NEWEST
from app.tasks.outbox import DealtWith, DeliveryLine, EventDetails, EventLine, OutboxState, Redelivered
from app.tasks.registry import Registry
from app.terminal.context import CliContext, pass_context
from app.terminal.operating import Id, ago, echo_json, line_of, moment_text, on_database, span
from app.terminal.table import table

EVENT_ID = Id("event")
HEAD = ("ID", "TYPE", "AGGREGATE", "POSITION", "PUBLISHED", "HANDED ON")
DELIVERY_HEAD = ("TASK", "HANDLER", "STATUS", "RETRIES", "CRASHES", "ENDED", "ERROR")


@click.group()
def outbox() -> None:
    """Events: what was published, whom it was handed on to, and what became of it.

    The relay, inside of a worker, makes a task of each event for each of its subscribers. See docs/tasks.md.
    """


@outbox.command(name="list")
@click.option("--unprocessed", is_flag=True, help="Only those that were not handed on yet.")
@click.option("--type", "event_type", metavar="TYPE", help="Only those of this type.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", type=EVENT_ID, metavar="ID", help="Go on behind this one: next_cursor of the list before.")
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of columns.")
@pass_context
def list_(
    context: CliContext, unprocessed: bool, event_type: str | None, limit: int, cursor: UUID | None, machine: bool
) -> None:
    """List events, newest first.

    Payloads are not listed, as they may hold personal data: `app outbox show ID`.
    """

    async def work(db: Database) -> tuple[datetime, list[EventLine]]:
        found = await events.list_events(
            db, event_type=event_type, unprocessed=unprocessed, before=cursor or NEWEST, limit=limit + 1
        )
        return await operations.database_time(db), found

    now, found = on_database(context, work)
    items, more = found[:limit], len(found) > limit
    if machine:
        echo_json({"items": items, "next_cursor": items[-1].id if more else None})
        return
    click.echo(table(HEAD, [_row(each, now) for each in items]) if items else "There are no such events.")
    if more:
        click.echo(f"There are more: --cursor {items[-1].id}", err=True)


@outbox.command()
@click.argument("event_id", metavar="ID", type=EVENT_ID)
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of lines.")
@pass_context
def show(context: CliContext, event_id: UUID, machine: bool) -> None:
    """Show one event, the tasks that deliver it, and which subscribers remember it.

    Tasks that went well are kept for worker.keep_done only. The payload may hold personal data. Exits 1 where there
    is no such event.
    """

    async def work(db: Database) -> tuple[datetime, EventDetails]:
        found = await events.show_event(db, event_id)
        return await operations.database_time(db), found

    now, found = on_database(context, work, about=event_id)
    if machine:
        echo_json(found)
    else:
        click.echo("\n".join(_details(found, now)))


@outbox.command()
@click.argument("event_id", metavar="ID", type=EVENT_ID)
@click.option("--handler", metavar="NAME", help="Only to this subscriber; else to all of them.")
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of sentences.")
@pass_context
def retry(context: CliContext, event_id: UUID, handler: str | None, machine: bool) -> None:
    """Hand an event on once more.

    Each subscriber is given a new task. Who has dealt with the event, and says so with once(), changes nothing.
    Where only one delivery has failed, `app tasks retry` is nearer. Exits 1 where that can't be done.
    """
    registry = _registry()

    async def work(db: Database) -> list[Redelivered]:
        return await events.redeliver(db, registry, event_id, handler=handler)

    made = on_database(context, work, about=event_id)
    if machine:
        echo_json({"tasks": [{"id": each.id, "handler": each.handler} for each in made]})
    else:
        click.echo("\n".join(f"{each.handler} is told again by the task {each.id}." for each in made))


@outbox.command()
@click.option("--json", "machine", is_flag=True, help="Print JSON instead of lines.")
@pass_context
def status(context: CliContext, machine: bool) -> None:
    """Show how far the relay is behind, and how many deliveries are dead.

    The lag is the age of the oldest event that was not handed on; where it grows, no worker runs that knows its type.
    """
    state = on_database(context, events.outbox_state)
    if machine:
        echo_json(state)
    else:
        click.echo("\n".join(_state(state)))


def _registry() -> Registry:
    # The features bring the web framework along, which the other commands have no use for.
    from app.bootstrap import FEATURES
    from app.feature import registry_of

    return registry_of(FEATURES)


def _row(event: EventLine, now: datetime) -> tuple[str, ...]:
    return (
        str(event.id),
        line_of(event.event_type),
        line_of(f"{event.aggregate_type}:{event.aggregate_id}"),
        str(event.position),
        ago(event.created_at, now),
        ago(event.processed_at, now) if event.processed_at else "-",
    )


def _details(found: EventDetails, now: datetime) -> Iterator[str]:
    event = found.event
    facts = {
        "id": str(event.id),
        "type": event.event_type,
        "aggregate": f"{event.aggregate_type}:{event.aggregate_id}",
        "position": str(event.position),
        "published": moment_text(event.created_at, now),
        "handed on": moment_text(event.processed_at, now),
        "context": ", ".join(f"{name}={value}" for name, value in event.context.items()),
    }
    for name, value in facts.items():
        yield f"{name + ':':<11}{line_of(value)}"
    yield f"payload:\n{json.dumps(event.payload, indent=2)}"
    yield f"\n{_deliveries(found.deliveries, now)}"
    yield f"\n{_memory(found.dealt_with, now)}"


def _deliveries(deliveries: Sequence[DeliveryLine], now: datetime) -> str:
    if not deliveries:
        return "No task delivers it, or none is kept any more."
    rows = [
        (
            str(each.task_id),
            line_of(each.handler),
            each.status,
            f"{each.retry_count}/{each.max_retries}",
            str(each.crash_count),
            ago(each.finished_at, now) if each.finished_at else "-",
            line_of(each.error),
        )
        for each in deliveries
    ]
    return table(DELIVERY_HEAD, rows)


def _memory(dealt_with: Sequence[DealtWith], now: datetime) -> str:
    if not dealt_with:
        return "No subscriber remembers it."
    return "\n".join(f"{line_of(each.handler)} dealt with it {ago(each.processed_at, now)}." for each in dealt_with)


def _state(state: OutboxState) -> Iterator[str]:
    lag = f", the oldest of them {span(state.lag)} ago" if state.unprocessed else ""
    yield f"not handed on:     {state.unprocessed}{lag}"
    yield f"being delivered:   {state.deliveries}"
    yield f"dead deliveries:   {state.dead_deliveries}"
