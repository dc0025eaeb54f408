"""Where RFC 9110 leaves two answers open and h11 gives one, llhttp the other: what uvicorn says to these cases."""

from __future__ import annotations

from dataclasses import replace

from tests.hostile.case import Case

# Control characters in a value are invalid, and may be kept where that is safe (RFC 9110, 5.5): h11 keeps them.
CONTROLS = (
    *(f"header value with {char!r}" for char in "\x01\x07\x08\x1b\x7f"),
    "header: Connection with garbage",
    "header: Cookie that is none",
    "header: X-Request-Id of garbage",
    "header: Idempotency-Key of garbage",
)
# A length said twice may be refused, or taken for one where both are the same (8.6): h11 takes it.
LENGTHS = ("length: two equal headers", "length: twice the same in one header")
# A trailer must not say where the body ends; what does may be dropped, or refused (6.5.1): h11 drops it.
TRAILERS = ("chunks with a trailer that lies about the length",)

STRICTER = {*CONTROLS, *LENGTHS, *TRAILERS}


def as_uvicorn_answers(cases: list[Case]) -> list[Case]:
    """The same cases: what is in doubt is refused."""
    return [replace(case, statuses=(400,)) if case.name in STRICTER else case for case in cases]
