"""`app outbox` as an operator meets it, on a real database."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from app.core.database import Database
from app.core.ids import new_id
from tests.cli.operator import Operator, operator
from tests.harness.queued import end, hand_on, publish

__all__ = ["operator"]  # a fixture


async def test_events_are_listed_newest_first_without_their_payload(operator: Operator, db: Database) -> None:
    aggregate = new_id()
    first = await publish(db, aggregate)
    await hand_on(db)
    second = await publish(db, aggregate)

    answer = await operator("outbox", "list")
    unprocessed = (await operator("outbox", "list", "--unprocessed", "--json")).json
    page = (
        await operator("outbox", "list", "--limit", 1, "--cursor", second, "--type", "notes.written", "--json")
    ).json
    none = await operator("outbox", "list", "--type", "notes.other")

    head, *rows = answer.lines
    cells = [re.split(r"  +", row) for row in rows]
    assert re.split(r"  +", head) == ["ID", "TYPE", "AGGREGATE", "POSITION", "PUBLISHED", "HANDED ON"]
    assert [row[0] for row in cells] == [str(second), str(first)]
    assert cells[0][1:3] == ["notes.written", f"note:{aggregate}"]
    assert cells[0][-1] == "-"
    assert re.fullmatch(r"\d+ s ago", cells[1][-1])
    assert [each["id"] for each in unprocessed["items"]] == [str(second)]
    assert set(unprocessed["items"][0]) == {
        *("id", "event_type", "aggregate_type", "aggregate_id", "position", "created_at", "processed_at")
    }
    assert [each["id"] for each in page["items"]] == [str(first)]
    assert none.out == "There are no such events.\n"
    assert "ada@example.org" not in answer.out


async def test_one_event_is_shown_with_what_became_of_it(operator: Operator, db: Database) -> None:
    event_id = await publish(db, new_id())
    fresh = await operator("outbox", "show", event_id)
    await hand_on(db)
    [task_id] = await end(db, "dead", "ValueError: no\nline 7")
    values = {"id": event_id}
    await db.execute("INSERT INTO processed_events (event_id, handler_name) VALUES (:id, 'feed.post')", values)

    answer, machine = await operator("outbox", "show", event_id), await operator("outbox", "show", event_id, "--json")

    assert "handed on: -" in fresh.lines
    assert fresh.lines[-3:] == ["No task delivers it, or none is kept any more.", "", "No subscriber remembers it."]
    head, row, _, memory = answer.lines[-4:]
    assert head.split() == ["TASK", "HANDLER", "STATUS", "RETRIES", "CRASHES", "ENDED", "ERROR"]
    assert re.split(r"  +", row)[:3] == [str(task_id), "search.index", "dead"]
    assert row.endswith("ValueError: no")
    assert memory.startswith("feed.post dealt with it ")
    assert '  "text": "for ada@example.org"' in answer.lines
    found = machine.json
    assert found["event"]["payload"] == {"text": "for ada@example.org"}
    assert [each["task_id"] for each in found["deliveries"]] == [str(task_id)]
    assert datetime.fromisoformat(found["dealt_with"][0]["processed_at"]).tzinfo is not None


async def test_an_event_is_handed_on_again(operator: Operator, db: Database) -> None:
    event_id = await publish(db, new_id())
    early = await operator("outbox", "retry", event_id)
    await hand_on(db)
    await end(db, "done")

    one = await operator("outbox", "retry", event_id, "--handler", "feed.post")
    rest = (await operator("outbox", "retry", event_id, "--json")).json
    again = await operator("outbox", "retry", event_id)

    assert (early.code, early.err) == (
        1,
        f"{event_id}: This event has not been handed on yet; it will be as soon as a worker runs.\n",
    )
    assert one.code == 0
    assert one.out.startswith("feed.post is told again by the task ")
    assert [each["handler"] for each in rest["tasks"]] == ["search.index"]
    assert again.code == 1
    assert "its deliveries are still under way" in again.err
    assert await db.fetch_val("SELECT count(*) FROM tasks WHERE status = 'pending'") == 2


async def test_the_state_of_the_outbox_is_told(operator: Operator, db: Database) -> None:
    await publish(db, new_id())
    await hand_on(db)
    await end(db, "dead")
    await publish(db, new_id())

    told, machine = await operator("outbox", "status"), await operator("outbox", "status", "--json")

    assert [re.split(r":? +", line, maxsplit=1)[0] for line in told.lines] == ["not", "being", "dead"]
    assert re.fullmatch(r"not handed on:     1, the oldest of them \d+ s ago", told.lines[0])
    assert told.lines[2] == "dead deliveries:   1"
    assert (machine.json["unprocessed"], machine.json["deliveries"], machine.json["dead_deliveries"]) == (1, 0, 1)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("show", "abc"), 2, "'abc' is no event id: it is a UUID, as lists show it."),
        (("show", "01a1ffc9-4125-7647-8cde-b3b859b8fd3a"), 1, "There is no event with this id."),
        (("retry", "01a1ffc9-4125-7647-8cde-b3b859b8fd3a"), 1, "There is no event with this id."),
        (("list", "--cursor", "x"), 2, "'x' is no event id"),
    ],
)
async def test_what_cannot_be_meant_is_told(
    operator: Operator, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    answer = await operator("outbox", *arguments)

    assert (answer.code, answer.out) == (code, "")
    assert sentence in " ".join(answer.err.split())


async def test_a_subscriber_that_does_not_exist_is_told_with_those_that_do(operator: Operator, db: Database) -> None:
    event_id = await publish(db, new_id())
    await hand_on(db)

    answer = await operator("outbox", "retry", event_id, "--handler", "feed.pots")

    assert (answer.code, answer.out) == (1, "")
    assert answer.err == (
        f"{event_id}: No subscriber of this event has that name. "
        "Those who subscribe to notes.written: feed.post, search.index.\n"
    )
