"""`app tasks` as an operator meets it: tables, JSON, refusals and exit codes, on a real database."""

from __future__ import annotations

import os
import pty
import re
from datetime import datetime

import pytest

from app.core.database import Database
from app.core.ids import new_id
from tests.cli.operator import Operator, operator
from tests.harness.queued import claim, end, enqueue

__all__ = ["operator"]  # a fixture

ERROR = "ValueError: no such note\n  line 7, in remind\n\x1b[2Jgone"


async def test_the_list_has_a_summary_and_a_row_for_each_that_is_not_done(operator: Operator, db: Database) -> None:
    await enqueue(db)
    await end(db, "done")
    [dead] = await enqueue(db)
    await end(db, "dead", ERROR)
    [running] = await enqueue(db)
    await claim(db)
    [later] = await enqueue(db, delay=86_400 * 3)

    answer = await operator("tasks", "list")

    summary, head, *rows = answer.lines
    cells = [re.split(r"  +", row) for row in rows]
    assert (answer.code, answer.err) == (0, "")
    assert summary == "1 pending, 1 running, 1 dead."
    assert head.split() == ["ID", "TYPE", "STATUS", "PRIORITY", "RETRIES", "CRASHES", "DUE/AGE", "WORKER", "ERROR"]
    assert [row[0] for row in cells] == [str(each) for each in (later, running, dead)]
    assert cells[0][1:] == ["notes.remind", "pending", "normal", "0/5", "0", "in 3 d", "-", "-"]
    assert cells[1][1:6] == ["notes.remind", "running", "normal", "0/5", "0"]
    assert cells[2][2:6] == ["dead", "normal", "0/5", "0"]
    assert cells[2][-2:] == ["host:1:x", "ValueError: no such note"]
    assert "ada@example.org" not in answer.out


async def test_lists_go_on_where_the_one_before_ended(operator: Operator, db: Database) -> None:
    ids = await enqueue(db, 5)

    first = (await operator("tasks", "list", "--json", "--limit", 2)).json
    second = (await operator("tasks", "list", "--json", "--limit", 2, "--cursor", first["next_cursor"])).json
    last = await operator("tasks", "list", "--limit", 2, "--cursor", second["next_cursor"])
    told = await operator("tasks", "list", "--limit", 2)

    assert [each["id"] for each in (*first["items"], *second["items"])] == [str(each) for each in ids[:0:-1]]
    assert (last.lines[-1].split()[0], last.err) == (str(ids[0]), "")
    assert told.err == f"There are more: --cursor {ids[-2]}\n"


async def test_programs_get_stable_names_and_iso_times(operator: Operator, db: Database) -> None:
    [task_id] = await enqueue(db)
    await end(db, "dead", ERROR)

    page = (await operator("tasks", "list", "--json", "--status", "dead", "--type", "notes.remind")).json
    nothing = (await operator("tasks", "list", "--json", "--type", "notes.other")).json

    [item] = page["items"]
    for moment in ("run_at", "created_at", "finished_at"):
        assert datetime.fromisoformat(item.pop(moment)).tzinfo is not None
    assert item == {
        "id": str(task_id),
        "task_type": "notes.remind",
        "status": "dead",
        "priority": 0,
        "retry_count": 0,
        "max_retries": 5,
        "crash_count": 0,
        "locked_by": "host:1:x",
        "error": "ValueError: no such note",
    }
    assert page["next_cursor"] is None
    assert nothing == {"items": [], "next_cursor": None}


async def test_one_task_is_shown_with_everything(operator: Operator, db: Database) -> None:
    [task_id] = await enqueue(db, dedupe_key="once")
    await end(db, "dead", ERROR)

    shown, machine = await operator("tasks", "show", task_id), await operator("tasks", "show", task_id, "--json")

    assert shown.lines[:5] == [
        f"id:           {task_id}",
        "type:         notes.remind",
        "status:       dead",
        "priority:     normal",
        "retries:      0 of 5",
    ]
    assert "dedupe key:   once" in shown.lines
    assert '  "text": "for ada@example.org"' in shown.lines
    assert shown.lines[-3:] == ["ValueError: no such note", "  line 7, in remind", "\N{REPLACEMENT CHARACTER}[2Jgone"]
    assert (machine.json["payload"], machine.json["last_error"]) == ({"text": "for ada@example.org"}, ERROR)


async def test_dead_ones_are_retried_by_name_or_all(operator: Operator, db: Database) -> None:
    ids = await enqueue(db, 3)
    await end(db, "dead")

    named = await operator("tasks", "retry", ids[0])
    rest = await operator("tasks", "retry", "--dead", "--type", "notes.remind", "--json")
    nothing = await operator("tasks", "retry", "--dead")

    assert (named.code, named.out, named.err) == (0, "1 task retried.\n", "")
    assert rest.json == {"retried": [str(each) for each in ids[1:]], "refused": []}
    assert (nothing.code, nothing.out) == (0, "There was nothing to be retried.\n")
    assert await db.fetch_val("SELECT count(*) FROM tasks WHERE status = 'pending'") == 3


async def test_refusals_are_told_one_by_one_and_the_rest_is_done(operator: Operator, db: Database) -> None:
    [taken] = await enqueue(db, dedupe_key="once")
    [dead] = await enqueue(db)
    await end(db, "dead")
    [pending] = await enqueue(db, dedupe_key="once")
    unknown = new_id()

    answer = await operator("tasks", "retry", taken, dead, pending, unknown)

    assert (answer.code, answer.out) == (1, "1 task retried.\n")
    assert answer.err.splitlines() == [
        f"{taken}: Another task with the same dedupe_key is waiting or running; it stands for this one too.",
        f"{pending}: Only a dead or cancelled task can be retried. This one is pending.",
        f"{unknown}: There is no task with this id.",
    ]


async def test_tasks_are_cancelled_by_name_or_type(operator: Operator, db: Database) -> None:
    [running] = await enqueue(db)
    await claim(db)
    pending = await enqueue(db, 3)

    named = await operator("tasks", "cancel", running)
    again = await operator("tasks", "cancel", running, "--json")
    rest = await operator("tasks", "cancel", "--type", "notes.remind")

    assert (named.code, named.out) == (0, "1 task cancelled.\n")
    assert again.code == 1
    assert again.json["refused"] == [
        {
            "id": str(running),
            "code": "CONFLICT",
            "error": "This task has ended already; only one that waits or runs can be cancelled.",
        }
    ]
    assert (rest.code, rest.out) == (0, f"{len(pending)} tasks cancelled.\n")
    assert await db.fetch_val("SELECT count(*) FROM finished_tasks WHERE status = 'cancelled'") == 4


async def test_purging_asks_first(operator: Operator, db: Database) -> None:
    await enqueue(db, 2)
    await end(db, "dead")

    refused = await operator("tasks", "purge", "--status", "dead", stdin="n\n")
    young = await operator("tasks", "purge", "--status", "dead", "--older-than", "7d", "--yes")
    kept = await db.fetch_val("SELECT count(*) FROM finished_tasks")
    agreed = await operator("tasks", "purge", "--status", "dead", stdin="y\n")
    nothing = await operator("tasks", "purge", "--status", "dead", "--yes", "--json")

    assert refused.code == 1
    assert refused.out.startswith("This deletes 2 dead tasks for good. Do it? [y/N]: ")
    assert (young.out, kept) == ("0 dead tasks deleted.\n", 2)
    assert (agreed.code, agreed.lines[-1]) == (0, "2 dead tasks deleted.")
    assert nothing.json == {"deleted": 0}
    assert await db.fetch_val("SELECT count(*) FROM finished_tasks") == 0


async def test_tasks_are_counted(operator: Operator, db: Database) -> None:
    empty = await operator("tasks", "counts")
    await enqueue(db, 3)
    await end(db, "dead")
    await enqueue(db)

    table, machine = await operator("tasks", "counts"), await operator("tasks", "counts", "--json")

    assert empty.out == "Nothing waits, runs or is dead.\n"
    assert table.lines[0].split() == ["TYPE", "WAITING", "PENDING", "RUNNING", "DEAD", "CANCELLED", "OLDEST", "DUE"]
    assert table.lines[1].split()[:6] == ["notes.remind", "0", "1", "0", "3", "0"]
    [counted] = machine.json["types"]
    assert (counted["pending"], counted["dead"]) == (1, 3)
    assert datetime.fromisoformat(counted["oldest_due_at"]).tzinfo is not None


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("show", "abc"), 2, "'abc' is no task id: it is a UUID, as lists show it."),
        (("show", "01a1ffc9-4125-7647-8cde-b3b859b8fd3a"), 1, "There is no task with this id."),
        (("retry",), 2, "Name the tasks, or say --dead, which may be narrowed by --type."),
        (("retry", "--type", "x"), 2, "Name the tasks, or say --dead, which may be narrowed by --type."),
        (("cancel",), 2, "Name the tasks, or a --type."),
        (
            ("list", "--status", "odd"),
            2,
            "'odd' is not one of 'waiting', 'pending', 'running', 'done', 'dead', 'cancel",
        ),
        (("list", "--limit", "0"), 2, "0 is not in the range 1<=x<=10000."),
        (("purge",), 2, "Missing option '--status'. Choose from:"),
        (
            ("purge", "--status", "dead", "--older-than", "week"),
            2,
            "'week' is no age: a number and one of s, m, h, d, w",
        ),
        (("purge", "--status", "dead", "--json"), 2, "--json asks nothing, so say --yes, too."),
        (("purge", "--status", "running"), 2, "'running' is not one of 'done', 'dead', 'cancelled'."),
    ],
)
async def test_what_cannot_be_meant_is_told(
    operator: Operator, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    answer = await operator("tasks", *arguments)

    assert (answer.code, answer.out) == (code, "")
    assert sentence in " ".join(answer.err.split())


async def test_a_database_that_is_away_is_told(operator: Operator) -> None:
    url = "postgresql://plinth:x@127.0.0.1:1/plinth"

    answer = await operator.in_a_process("tasks", "list", APP_DATABASE__URL=url, APP_DATABASE__START_TIMEOUT="0")

    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith("PostgreSQL at 127.0.0.1:1 (database 'plinth', user 'plinth') could not be reached")
    assert "Traceback" not in answer.err


async def test_a_schema_of_another_version_is_told(operator: Operator, db: Database) -> None:
    await db.execute("ALTER TABLE tasks DROP COLUMN crash_count CASCADE")

    answer = await operator("tasks", "list")

    assert answer.code == 4
    assert answer.err == (
        'The schema does not fit this code: column "crash_count" does not exist. See `app migrate status`.\n'
    )


async def test_on_a_screen_an_error_is_cut_to_its_width(operator: Operator, db: Database) -> None:
    await enqueue(db)
    await end(db, "dead", "ValueError: " + "x" * 400)
    screen, terminal = pty.openpty()

    answer = await operator.in_a_process("tasks", "list", stdout=terminal, COLUMNS="160")

    shown = os.read(screen, 100_000).decode().splitlines()
    os.close(screen)
    os.close(terminal)
    assert (answer.code, answer.err) == (0, "")
    assert [len(line) for line in shown if "ValueError" in line] == [160]
    assert shown[-1].endswith("xxx...")
