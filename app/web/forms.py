"""Forms that a browser sends: bounded in parts and in memory, and refused when they are not whole."""

from __future__ import annotations

from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from typing import IO, Any, cast
from urllib.parse import parse_qsl

from quart.datastructures import FileStorage
from quart.formparser import FormDataParser
from quart.wrappers.request import Body
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from app.core.errors import BadRequest, PayloadTooLarge
from app.web.policy import KIB

SPOOL = 16 * KIB  # bytes of a file that are kept in memory; the rest of it is on disk

Fields = MultiDict[str, Any]
Values = tuple[Fields, Fields]  # the fields, and the files


class FormTooLarge(PayloadTooLarge):
    """The form has too many parts, or too much text."""


class StrictForms(FormDataParser):
    """Quart's own takes a form that it cannot read for an empty one, and counts the memory of each field alone."""

    async def parse(
        self,
        body: Body,
        mimetype: str,
        content_length: int | None,  # noqa: ARG002  (Quart's own signature)
        options: dict[str, str] | None = None,
    ) -> Values:
        """Raises `BadRequest`, `FormTooLarge` and what reading the body raises."""
        try:
            match mimetype:
                case "multipart/form-data":
                    return await self._multipart(body, options or {})
                case "application/x-www-form-urlencoded":
                    return self._urlencoded((await body).decode())
                case _:
                    return MultiDict(), MultiDict()
        except RequestEntityTooLarge:
            raise FormTooLarge from None
        except ValueError:  # which may quote the form
            raise BadRequest("The form cannot be read.") from None

    def _urlencoded(self, text: str) -> Values:
        if self.max_form_parts is not None and text.count("&") >= self.max_form_parts:
            raise FormTooLarge
        return MultiDict(parse_qsl(text, keep_blank_values=True, errors="strict")), MultiDict()

    async def _multipart(self, body: Body, options: dict[str, str]) -> Values:
        boundary = options.get("boundary", "").encode("ascii")
        if not boundary:
            raise ValueError("no boundary")
        decoder = MultipartDecoder(boundary, self.max_form_memory_size, max_parts=self.max_form_parts)
        with ExitStack() as opened:
            parts = _Parts(self.max_form_memory_size, opened)
            async for data in body:
                decoder.receive_data(data)
                parts.take(decoder)
            decoder.receive_data(None)  # raises where the end is missing
            parts.take(decoder)
            opened.pop_all()  # the request's from here on
            return parts.fields, parts.files


class _Parts:
    """The parts of a form so far."""

    def __init__(self, memory: int | None, opened: ExitStack) -> None:
        """`memory` is in bytes, for all fields together; files are left in `opened`."""
        self.left = memory
        self.opened = opened
        self.fields: Fields = MultiDict()
        self.files: Fields = MultiDict()
        self._part: Field | File | None = None
        self._content: IO[bytes] | bytearray = bytearray()

    def take(self, decoder: MultipartDecoder) -> None:
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case Field():
                self._part, self._content = event, bytearray()
            case File():
                file = self.opened.enter_context(SpooledTemporaryFile(SPOOL))  # noqa: SIM115  (it does)
                self._part, self._content = event, cast(IO[bytes], file)
            case Data():
                self._add(event)
            case _:
                pass

    def _add(self, event: Data) -> None:
        if isinstance(self._content, bytearray):
            self._spend(len(event.data))
            self._content += event.data
        else:
            self._content.write(event.data)
        if not event.more_data:
            self._finish()

    def _spend(self, size: int) -> None:
        if self.left is not None:
            self.left -= size
            if self.left < 0:
                raise FormTooLarge

    def _finish(self) -> None:
        part, content = self._part, self._content
        if isinstance(part, File) and not isinstance(content, bytearray):
            content.seek(0)
            self.files.add(part.name, FileStorage(content, part.filename, part.name, headers=part.headers))
        elif isinstance(part, Field) and isinstance(content, bytearray):
            self.fields.add(part.name, content.decode())
