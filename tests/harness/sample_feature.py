"""A feature as docs/adding-a-feature.md makes one, that only tests have: every audience, every kind of parameter.

Its table stands in a metadata of its own, where neither migrations nor the check for drift see it:
`await create_tables(db)` makes it in a test's own database, before the server is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from msgspec import Meta
from quart import Blueprint, Response
from sqlalchemy import CheckConstraint, Column, MetaData, Table, Text, UniqueConstraint, delete, func, insert, select
from sqlalchemy import update as update_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.schema import CreateTable

from app.core.database import Database, Row, id_column
from app.core.database.schema import NAMING_CONVENTION
from app.core.errors import Conflict, NotFound
from app.feature import Feature
from app.web import ADMIN, MINUTE, PUBLIC, SCRAPE, SIGNED_IN, By, Limit, current_caller, endpoint, resources
from tests.harness.signed_tokens import authenticate

MANY = 100_000  # requests a minute: the limit is there, and no test reaches it
PATH = "/api/v1/sample-notes"

routes = Blueprint("sample", __name__, url_prefix=PATH)

notes = Table(
    "sample_notes",
    MetaData(naming_convention=NAMING_CONVENTION),
    id_column(),
    Column("title", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("author", Text, nullable=False),
    UniqueConstraint("title"),
    CheckConstraint("char_length(title) BETWEEN 1 AND 80", name="title_length"),
)
COLUMNS = (notes.c.id, notes.c.title, notes.c.tags, notes.c.author)


async def create_tables(db: Database) -> None:
    await db.execute(CreateTable(notes))


# PostgreSQL stores every character but one.
Title = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[^\x00]+$", description="Taken once.")]
Tag = Annotated[str, Meta(min_length=1, max_length=20, pattern=r"^[a-z]+$")]
Tags = Annotated[list[Tag], Meta(max_length=5)]


@dataclass(frozen=True)
class NewNote:
    """What a note begins with."""

    title: Title
    tags: Tags = field(default_factory=list)


@dataclass(frozen=True)
class NoteChange:
    """What stays as it is, is left out."""

    title: Title | None = None
    tags: Tags | None = None


@dataclass(frozen=True)
class SampleNote:
    """One note."""

    id: UUID
    title: str
    tags: list[str]
    author: str


@dataclass(frozen=True)
class Page:
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Most notes of one answer.")] = 20
    after: Annotated[UUID | None, Meta(description="The `next_cursor` of the answer before.")] = None


@dataclass(frozen=True)
class NotePage:
    """A part of the list, and where the next one begins."""

    items: list[SampleNote]
    next_cursor: UUID | None


@dataclass(frozen=True)
class NoteCount:
    """How many there are."""

    notes: int


class TitleTaken(Conflict):
    """There is a note with this title."""


class Reserved(Conflict):
    """This title is kept for the service itself."""


@routes.get("")
@endpoint(PUBLIC, answers={200: NotePage})
async def list_notes(query: Page) -> NotePage:
    """List notes, oldest first.

    A list is read in parts: give the `next_cursor` of one answer as `after` of the next.
    """
    statement = select(*COLUMNS).order_by(notes.c.id).limit(query.limit + 1)
    if query.after is not None:
        statement = statement.where(notes.c.id > query.after)
    found = [note_of(row) for row in await resources().database.fetch_all(statement)]
    items = found[: query.limit]
    return NotePage(items, items[-1].id if len(found) > query.limit else None)


@routes.post("")
@endpoint(
    SIGNED_IN.but(limits=(Limit(MANY, MINUTE, By.CALLER),)), answers={201: SampleNote}, errors=(TitleTaken, Reserved)
)
async def write_note(body: NewNote) -> tuple[SampleNote, int]:
    """Write a note."""
    if body.title == "reserved":
        raise Reserved
    values = {"title": body.title, "tags": body.tags, "author": current_caller().id}
    row = await resources().database.fetch_existing(insert(notes).values(**values).returning(*COLUMNS))
    return note_of(row), 201


@routes.get("/<uuid:note_id>")
@endpoint(PUBLIC, answers={200: SampleNote}, errors=(NotFound,))
async def read_note(note_id: UUID) -> SampleNote:
    """Read a note."""
    return note_of(await resources().database.fetch_existing(select(*COLUMNS).where(notes.c.id == note_id)))


@routes.patch("/<uuid:note_id>")
@endpoint(SIGNED_IN, answers={200: SampleNote}, errors=(NotFound, TitleTaken))
async def change_note(note_id: UUID, body: NoteChange) -> SampleNote:
    """Change what is given of a note."""
    changes = {name: value for name, value in (("title", body.title), ("tags", body.tags)) if value is not None}
    statement = update_(notes).where(notes.c.id == note_id).values(changes or {notes.c.title: notes.c.title})
    return note_of(await resources().database.fetch_existing(statement.returning(*COLUMNS)))


@routes.delete("/<uuid:note_id>")
@endpoint(ADMIN, answers={204: None}, errors=(NotFound,))
async def delete_note(note_id: UUID) -> tuple[str, int]:
    """Delete a note."""
    await resources().database.fetch_existing(delete(notes).where(notes.c.id == note_id).returning(notes.c.id))
    return "", 204


@routes.get("/number/<int(max=1000):number>")
@endpoint(PUBLIC, answers={200: SampleNote}, errors=(NotFound,))
async def read_by_number(number: int) -> SampleNote:
    """Read a note by its place in the list, from 0."""
    return note_of(
        await resources().database.fetch_existing(select(*COLUMNS).order_by(notes.c.id).offset(number).limit(1))
    )


@routes.get("/titled/<title>")
@endpoint(PUBLIC, answers={200: SampleNote}, errors=(NotFound,))
async def read_by_title(title: str) -> SampleNote:
    """Read a note by its title."""
    return note_of(await resources().database.fetch_existing(select(*COLUMNS).where(notes.c.title == title)))


@routes.get("/export")
@endpoint(PUBLIC, answers={200: "text/csv"})
async def export() -> Response:
    """Give every title, one a line."""
    rows = await resources().database.fetch_all(select(notes.c.title).order_by(notes.c.id))
    return Response("".join(f"{row['title']}\n" for row in rows), content_type="text/csv; charset=utf-8")


@routes.get("/count")
@endpoint(SCRAPE, answers={200: NoteCount})
async def count() -> NoteCount:
    """Tell operations how many notes there are."""
    return NoteCount(await resources().database.fetch_val(select(func.count()).select_from(notes)))


def note_of(row: Row) -> SampleNote:
    return SampleNote(row["id"], row["title"], row["tags"], row["author"])


feature = Feature(name="sample", routes=(routes,), authenticate=authenticate)
