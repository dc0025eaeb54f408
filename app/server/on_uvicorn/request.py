"""One request as llhttp reads it: its head, held to what h11 holds it to, and the scope that comes of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.core.errors import AppError, BadRequest, NotImplementedHere
from app.server.heads import WATCHED, problem
from app.server.on_uvicorn.bodies import Chunked, Measured
from app.server.on_uvicorn.request_line import UPGRADE_HERE, RequestLine, is_coded_otherwise, read_line

WATCHED_HERE = WATCHED | {b"host", b"expect", UPGRADE_HERE}


class RequestReader(HttpToolsProtocol):
    """uvicorn's protocol, as far as it reads one request."""

    line: RequestLine | None = None
    body: Measured | Chunked | None = None  # while some of it is to come
    whole = False  # nothing more of the request will come
    persists = False  # the client may send another one
    watched: list[tuple[bytes, bytes]]  # headers that decide on something here
    asked: dict[bytes, bytes]  # the last one of each of them

    # What llhttp calls.

    def on_message_begin(self) -> None:
        self.headers, self.watched = [], []
        self.whole = False

    def on_url(self, url: bytes) -> None:
        """Of a line that is not the client's."""

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.body is not None:
            return  # a trailer, which pretends to be of the head
        name = name.lower()
        if name in WATCHED_HERE:
            name = b"upgrade" if name == UPGRADE_HERE else name
            self.watched.append((name, value))
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.persists = self.parser.should_keep_alive()

    # What is made of it.

    def read(self, head: bytes) -> AppError | None:
        """What is wrong with a head that is whole."""
        read = read_line(head)
        if read is None:
            return BadRequest()
        self.line, for_llhttp = read
        try:
            self.parser.feed_data(for_llhttp)
        except httptools.HttpParserError:
            return NotImplementedHere() if is_coded_otherwise(for_llhttp) else BadRequest()
        asked = self.asked = dict(self.watched)
        if b"transfer-encoding" in asked and is_coded_otherwise(for_llhttp):
            return NotImplementedHere()
        if len(asked) < len(self.watched) and [name for name, _ in self.watched].count(b"host") > 1:
            return BadRequest("A request names one host.")
        if b"host" not in asked and self.line.version == b"1.1":
            return BadRequest("A request names its host.")
        sentence = problem(self.line.method, self.line.version, self.watched)
        return BadRequest(sentence) if sentence else None

    @property
    def wants_websocket(self) -> bool:
        return (
            self.asked.get(b"upgrade", b"").lower() == b"websocket"
            and b"upgrade" in (token.strip().lower() for token in self.asked.get(b"connection", b"").split(b","))
            and self.line is not None
            and self.line.method == b"GET"
        )

    @property
    def asks_before_body(self) -> bool:
        return self.asked.get(b"expect", b"").lower() == b"100-continue"

    def scope_of(self) -> dict[str, Any]:
        """As of HTTP, whatever the request asks for."""
        line: Any = self.line
        path, _, query = line.target.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": line.version.decode(),
            "server": self.server,
            "client": self.client,
            "scheme": "http",
            "method": line.method.decode(),
            "root_path": self.root_path,
            "path": unquote(path.decode()) if b"%" in path else path.decode(),
            "raw_path": path,
            "query_string": query,
            "headers": self.headers,
            "state": self.app_state.copy(),
        }

    def body_ahead(self) -> Measured | Chunked | None:
        """What is still to come of the request."""
        if self.whole:
            return None
        length = self.asked.get(b"content-length")
        return Chunked() if length is None else Measured(int(length))
