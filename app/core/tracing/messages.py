"""Spans of tasks and events: of asking for them, and of each run, in the terms for messages."""

from __future__ import annotations

from opentelemetry.trace import Span, StatusCode, format_trace_id

SYSTEM = {"messaging.system": "plinth"}


def sending_attributes(operation: str, name: str, messages: int) -> dict[str, str | int]:
    """Attributes of `enqueue` or `publish`, whose name the span has, too."""
    count: dict[str, str | int] = {"messaging.batch.message_count": messages} if messages != 1 else {}
    return {
        **SYSTEM,
        "messaging.operation.type": "send",
        "messaging.operation.name": operation,
        "messaging.destination.name": name,
        **count,
    }


def run_attributes(task_type: str, task_id: str, attempt: int, request_id: str | None) -> dict[str, str | int]:
    """Attributes of one run; `request_id` is that of the request which asked for it."""
    asked_by: dict[str, str | int] = {"request_id": request_id} if request_id else {}
    return {
        **SYSTEM,
        "messaging.operation.type": "process",
        "messaging.operation.name": "run",
        "messaging.destination.name": task_type,
        "messaging.message.id": task_id,
        "attempt": attempt,
        **asked_by,
    }


class RunSpan:
    """One run of a task, as the worker fills it."""

    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:
        """As logs and trace viewers write it; a run that is not sampled has one, too."""
        return format_trace_id(self._span.get_span_context().trace_id)

    def ended(self, outcome: str, error_type: str | None) -> None:
        """`error_type` where it has failed: the class alone, since a message may hold what nobody should read."""
        self._span.set_attribute("outcome", outcome)
        if error_type is not None:
            self._span.set_attribute("error.type", error_type)
            self._span.set_status(StatusCode.ERROR)
