"""What is measured of one running server, by a crowd of clients in this process."""

from __future__ import annotations

import asyncio
import statistics
from collections import deque
from collections.abc import Iterator
from itertools import cycle, islice
from time import perf_counter
from urllib.parse import urlsplit

import psutil

from bench.socket_contestants import Server
from tests.harness.crowd import Client, Crowd, frame

WARM_UP = 50  # clients, before anything is measured
PUSHES = 7  # of each way; their median is one round's figure
ACTIVE = 500  # clients that echo
RATE = 1000  # messages a second, of all together
SECONDS = 4.0  # of each echo
PING = frame(b'{"type":"ping"}')
TIMER = 0.002  # seconds that a timer of the loop may be late
SETTLE = 1.0  # seconds, for what the server does behind the last client's back
KB = 1000
MS, US = 1000, 1_000_000

Figures = dict[str, float]


class Trigger:
    """Asks for one push over a connection that is open already, so that asking costs next to nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, url: str) -> Trigger:
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    def post(self, url: str, body: bytes) -> None:
        parts = urlsplit(url)
        lines = (
            f"POST {parts.path}?{parts.query} HTTP/1.1",
            "Host: bench",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def answered(self) -> None:
        """Read the answer. Raises `RuntimeError` for one that is no 200."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        await self.reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(head.decode())


async def measure(server: Server, clients: int) -> Figures:
    """Everything, in an order in which nothing spoils what follows."""
    process = psutil.Process(server.pid)
    warm = Crowd(server.url, ready=server.ready)
    await warm.join(WARM_UP)
    for path in (*server.ways.values(), "/bench/publish"):
        await push(warm, server.url + path, 0)
    await warm.leave()

    crowd, empty = Crowd(server.url, ready=server.ready), process.memory_info().rss
    spent = cpu(process)
    seconds = await crowd.join(clients)
    await asyncio.sleep(SETTLE)
    figures = {
        "connects": clients / seconds,
        "connect cpu": (cpu(process) - spent) / clients * US,
        "idle": (process.memory_info().rss - empty) / clients / KB,
    }
    for way, path in server.ways.items():
        figures[f"broadcast {way}".strip()] = await _pushes(crowd, server.url + path)
    figures["pushed"] = (process.memory_info().rss - empty) / clients / KB
    spent = cpu(process)
    figures["publish"] = await _pushes(crowd, f"{server.url}/bench/publish")
    figures["publish cpu"] = (cpu(process) - spent) / PUSHES / clients * US
    figures |= await echo_at_a_rate(crowd)
    spent = cpu(process)
    echoes = await echo_closed(crowd)
    figures |= {"echoes": echoes / SECONDS, "echo cpu": (cpu(process) - spent) / echoes * US}
    await crowd.leave()
    return figures


def cpu(process: psutil.Process) -> float:
    """Seconds that the server has computed so far, which others on the same cores hardly change."""
    times = process.cpu_times()
    return times.user + times.system


async def _pushes(crowd: Crowd, url: str) -> float:
    """Milliseconds from asking until the last client has it."""
    return statistics.median([await push(crowd, url, number) for number in range(PUSHES)])


async def push(crowd: Crowd, url: str, number: int) -> float:
    marker = b"push-%d-of-%d" % (number, id(crowd))
    body = b'{"note":"%b","padding":"%b"}' % (marker, b"x" * 60)  # about 100 bytes
    trigger = await Trigger.open(url)
    async with asyncio.TaskGroup() as group:  # an error that is answered ends the waiting, too
        seconds = group.create_task(crowd.everyone(marker, lambda: trigger.post(url, body)))
        group.create_task(trigger.answered())
    trigger.writer.close()
    return seconds.result() * MS


async def echo_at_a_rate(crowd: Crowd) -> Figures:
    """`RATE` pings a second by `ACTIVE` clients in turn: milliseconds to the pong, whole path.

    Counted from the moment in which a ping was due, where it was sent later than a timer's resolution explains.
    """
    took: list[float] = []
    due: dict[int, deque[float]] = {client.number: deque() for client in islice(crowd.clients, ACTIVE)}

    def heard(client: Client, _: bytes) -> None:
        took.append((perf_counter() - due[client.number].popleft()) * MS)

    crowd.heard = heard
    turns, began = _turns(crowd), perf_counter()
    for number in range(int(RATE * SECONDS)):
        at = began + number / RATE
        if (wait := at - perf_counter()) > 0:
            await asyncio.sleep(wait)
        client, now = next(turns), perf_counter()
        due[client.number].append(now if now - at < TIMER else at)
        client.transport.write(PING)
    await asyncio.sleep(SETTLE)
    ranked = sorted(took)
    return {
        "echo p50": ranked[len(ranked) // 2],
        "echo p99": ranked[len(ranked) * 99 // 100],
        "echoes lost": RATE * SECONDS - len(ranked),
    }


async def echo_closed(crowd: Crowd) -> int:
    """Echoes in `SECONDS` where each of `ACTIVE` clients sends its next ping when it has its pong."""
    count = 0
    ending = False

    def heard(client: Client, _: bytes) -> None:
        nonlocal count
        count += 1
        if not ending:
            client.transport.write(PING)

    crowd.heard = heard
    for client in islice(crowd.clients, ACTIVE):
        client.transport.write(PING)
    await asyncio.sleep(SECONDS)
    ending = True
    in_time = count
    await asyncio.sleep(SETTLE)
    return in_time


def _turns(crowd: Crowd) -> Iterator[Client]:
    return cycle(crowd.clients[:ACTIVE])
