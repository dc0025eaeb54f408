"""Plays a case over a socket of its own and reads what comes back, with no HTTP client in between."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from tests.hostile.case import Case, Ending

AT_ONCE = 60  # connections
LIMIT = 20.0  # seconds for a case, of which the server's own time limits take 5
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Outcome:
    """`trouble` is what a well-behaved server does not do to a client."""

    case: Case
    answers: tuple[Answer, ...]
    trouble: str = ""

    @property
    def statuses(self) -> tuple[int, ...]:
        return tuple(answer.status for answer in self.answers)

    @property
    def as_expected(self) -> bool:
        if self.case.ending is Ending.RESETS:
            return True
        if self.case.ending is Ending.HALF_CLOSES and not self.statuses and not self.case.patient:
            return True  # saying goodbye counts as going away: whether the answer was quicker is chance
        wanted = [status if isinstance(status, tuple) else (status,) for status in self.case.statuses]
        return len(wanted) == len(self.statuses) and all(map(tuple.__contains__, wanted, self.statuses))


async def play(address: tuple[str, int], cases: Sequence[Case], *, limit: float = LIMIT) -> list[Outcome]:
    """All of them, many at once, each on one connection and for `limit` seconds at most."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> Outcome:
        async with places:
            return await _play(address, case, limit)

    return await asyncio.gather(*map(one, cases))


async def _play(address: tuple[str, int], case: Case, limit: float) -> Outcome:
    received = bytearray()
    try:
        async with asyncio.timeout(limit):
            await _talk(address, case, received)
        return Outcome(case, read_answers(bytes(received), bodiless=case.bodiless))
    except TimeoutError:
        trouble = "was not closed in time"
    except ConnectionError as error:
        trouble = f"ended with {type(error).__name__}"
    except ValueError as error:
        trouble = f"sent no HTTP: {error}"
    with suppress(ValueError):
        return Outcome(case, read_answers(bytes(received), bodiless=case.bodiless), trouble)
    return Outcome(case, (), trouble)


async def _talk(address: tuple[str, int], case: Case, received: bytearray) -> None:
    reader, writer = await asyncio.open_connection(*address)
    try:
        for number, part in enumerate(case.sent):
            if number and case.patient:
                received += await reader.read(1 << 16)
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        if case.ending is Ending.RESETS:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return
        if case.ending is Ending.HALF_CLOSES:
            with suppress(OSError):  # the server was quicker
                writer.write_eof()
        while data := await reader.read(1 << 16):
            received += data
    finally:
        writer.transport.abort()


def read_answers(received: bytes, *, bodiless: bool = False) -> tuple[Answer, ...]:
    """All final answers in `received`, up to a switch of protocols. Raises `ValueError` for what is no HTTP."""
    answers = []
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin1").split("\r\n")
        version, status, *_ = status_line.split(" ")
        if version != "HTTP/1.1" or not end:
            raise ValueError(repr(status_line))
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if status == "100":
            continue
        length = 0 if bodiless else int(headers.get("content-length", 0))
        if len(received) < length:
            raise ValueError("a body that is cut off")
        answers.append(Answer(int(status), headers, received[:length]))
        received = b"" if status == "101" else received[length:]
    return tuple(answers)
