"""An OpenTelemetry collector on a real port: takes what the exporter posts, and keeps the spans."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from opentelemetry.proto.trace.v1.trace_pb2 import Status

SERVER, CLIENT = Sent.SPAN_KIND_SERVER, Sent.SPAN_KIND_CLIENT
PRODUCER, CONSUMER = Sent.SPAN_KIND_PRODUCER, Sent.SPAN_KIND_CONSUMER


@dataclass(frozen=True)
class Span:
    """One span, as it came; times are in nanoseconds, `parent` is empty for the first of a trace."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    began: int
    ended: int
    failed: bool
    attributes: dict[str, object]
    service: dict[str, object]


@dataclass
class Collector:
    """`spans` are all that came so far; `posts` counts what was sent, also to one that hangs until `released`."""

    url: str = ""
    hangs: bool = False
    posts: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)
    spans: list[Span] = field(default_factory=list)

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def requests(self) -> list[Span]:
        return [span for span in self.spans if span.kind == SERVER]

    def of(self, request_id: str) -> Span:
        """The span of the request with this id."""
        (span,) = (span for span in self.requests() if span.attributes["request_id"] == request_id)
        return span

    def below(self, parent: Span) -> list[Span]:
        return [span for span in self.spans if span.parent == parent.id]

    async def answer(self, reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                body = await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
                self.posts += 1
                if self.hangs:
                    await self.released.wait()
                self.spans += _spans(body)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()


@asynccontextmanager
async def collecting(port: int = 0, *, hangs: bool = False) -> AsyncIterator[Collector]:
    """A collector for the length of the block; one that `hangs` takes everything and answers nothing."""
    collector = Collector(hangs=hangs)
    server = await asyncio.start_server(collector.answer, "127.0.0.1", port)
    collector.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield collector
    finally:
        collector.released.set()
        server.close()


def _spans(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        _span(sent, {pair.key: _value(pair.value) for pair in resource.resource.attributes})
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for sent in scope.spans
    ]


def _span(sent: Sent, service: dict[str, object]) -> Span:
    return Span(
        trace=sent.trace_id.hex(),
        id=sent.span_id.hex(),
        parent=sent.parent_span_id.hex(),
        name=sent.name,
        kind=sent.kind,
        began=sent.start_time_unix_nano,
        ended=sent.end_time_unix_nano,
        failed=sent.status.code == Status.STATUS_CODE_ERROR,
        attributes={pair.key: _value(pair.value) for pair in sent.attributes},
        service=service,
    )


def _value(value: AnyValue) -> object:
    return getattr(value, value.WhichOneof("value") or "string_value")
