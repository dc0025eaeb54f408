"""The span of one request, as the edge fills it."""

from __future__ import annotations

from opentelemetry.trace import Span, StatusCode, format_trace_id

# Semantic conventions: a name that is none of these could be anything, and would name a group of its own each time.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
OTHER = "_OTHER"


class RequestSpan:
    """Begins with the method alone: the route, after which it is called, is known only later."""

    __slots__ = ("_method", "_span", "forgotten")

    def __init__(self, span: Span, method: str) -> None:
        self._span = span
        self._method = method if method in METHODS else OTHER
        self.forgotten = False  # a probe or a scrape, which would bury the rest: never ended, so never sent

    @property
    def trace_id(self) -> str:
        """As logs and trace viewers write it; a request that is not sampled has one, too."""
        return format_trace_id(self._span.get_span_context().trace_id)

    def asked(self, *, request_id: str, client: str, scheme: str, path: str) -> None:
        """What the request says: `path` comes without the query, which may hold what nobody should read."""
        if self._span.is_recording():
            self._span.set_attributes(
                {
                    "http.request.method": self._method,
                    "url.scheme": scheme,
                    "url.path": path,
                    "client.address": client,
                    "request_id": request_id,
                }
            )

    def answered(self, route: str | None, status: int | None) -> None:
        """`status` is None where the client went away before there was one."""
        if not self._span.is_recording():
            return
        if route is not None:
            self._span.set_attribute("http.route", route)
        self._span.update_name(f"{self._named()} {route}" if route is not None else self._named())
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
            if status >= 500:
                self._span.set_attribute("error.type", str(status))
                self._span.set_status(StatusCode.ERROR)

    def cut_short(self, *, by_client: bool) -> None:
        """The answer was not sent to its end, whatever its status says; a client that leaves is no error of ours."""
        self._span.set_attribute("error.type", "disconnected" if by_client else "broken")
        if not by_client:
            self._span.set_status(StatusCode.ERROR)

    def _named(self) -> str:
        return "HTTP" if self._method == OTHER else self._method
