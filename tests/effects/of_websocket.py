"""Section `websocket`."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import httpx
from quart import Blueprint, websocket
from redis import Redis

from app.core.resources import Resources
from app.feature import Feature
from app.features import realtime
from app.sockets import Topic, anybody, hub
from app.sockets.frames import encode
from app.sockets.wire import CloseCode, wire_of
from app.web import PUBLIC, Reviewer, endpoint
from app.web.tickets import _key
from tests.effects.case import Trial, limits, shows
from tests.effects.starting import Served, serving
from tests.harness.signed_tokens import authenticate, bearer
from tests.harness.waiting import eventually
from tests.server.raw_socket import CLOSE, TEXT, RawSocket, frame, goodbye, raw_socket

STAGE = ("server.port=0", "rate_limit.enabled=false", "redis.timeout=30")
ANYBODY = "websocket.anonymous=true"
BIG = encode(json.dumps({"type": "event", "data": "x" * 65536}))
RESET = 7  # the kernel's state of a connection that its peer has dropped
PATIENCE = 120  # seconds; the harness ends a wait that is to go on


def features(review: Reviewer | None) -> tuple[Feature, ...]:
    """`/ws` and what the cases need around it."""
    routes = Blueprint("trial", __name__)

    @routes.post("/push")
    @endpoint(PUBLIC)
    async def push() -> str:
        for _ in range(200):
            await hub().manager.broadcast(BIG)
        return ""

    @routes.websocket("/flood")
    @endpoint(PUBLIC)
    async def flood() -> None:
        await websocket.accept()
        wire = wire_of(websocket.scope)
        assert wire is not None
        while wire.waiting < 20 * len(BIG):  # more than a client's reader takes in that nobody reads from
            wire.write(BIG)
        await websocket.receive()

    topics = (Topic("news:{number}", subscribe=anybody),)
    return realtime.feature, Feature("trial", (routes,), topics=topics, authenticate=authenticate, review=review)


@asynccontextmanager
async def served(trial: Trial, *stage: str, review: Reviewer | None = None) -> AsyncIterator[Served]:
    async with serving(trial.settings(*STAGE, *stage), *features(review)) as running:
        yield running


@asynccontextmanager
async def peer_of(running: Served, path: str = "/ws", *, user: str = "") -> AsyncIterator[RawSocket]:
    async with _handshake(running, path, user=user) as peer:
        assert _status(peer) == 101
        yield peer


@asynccontextmanager
async def _handshake(running: Served, path: str = "/ws", *, user: str = "") -> AsyncIterator[RawSocket]:
    extra = f"Authorization: {bearer(user)['Authorization']}\r\n" if user else ""
    async with raw_socket(running.url, path, extra) as peer:
        yield peer


async def the_next(peer: RawSocket, *kinds: str) -> dict[str, Any]:
    """The next message of one of these types; `heartbeat` is a ping of the protocol, `close` a close frame."""
    while True:
        opcode, data = await peer.frame()
        said: dict[str, Any] = {"type": "heartbeat"}
        if opcode == TEXT:
            said = json.loads(data)
        elif opcode == CLOSE:
            said = {"type": "close", "code": int.from_bytes(data[:2]), "reason": data[2:].decode()}
        if said["type"] in kinds:
            return said


def _status(peer: RawSocket) -> int:
    return int(peer.head.split()[1])


def say(peer: RawSocket, kind: str, **fields: Any) -> None:
    peer.send(frame(TEXT, json.dumps({"type": kind, **fields}).encode()))


async def _status_of_another(trial: Trial, *stage: str, user: str = "") -> int:
    async with served(trial, *stage) as running, peer_of(running, user=user), _handshake(running, user=user) as other:
        return _status(other)


@shows("websocket.anonymous", {"true": 101, "false": 401})
async def somebody_without_credentials(trial: Trial) -> int:
    async with served(trial) as running, _handshake(running) as peer:
        return _status(peer)


shows("websocket.max_connections", {"1": 503, "2": 101})(partial(_status_of_another, user="ada"))
shows("websocket.max_per_user", {"1": 429, "2": 101})(partial(_status_of_another, user="ada"))


@shows("websocket.max_per_address", {"1": 429, "2": 101})
async def a_second_one_from_here(trial: Trial) -> int:
    return await _status_of_another(trial, ANYBODY)


@limits("websocket.heartbeat_interval")
async def a_silent_peer_is_left_alone(trial: Trial) -> None:
    async with served(trial, ANYBODY) as running, peer_of(running) as peer:
        await the_next(peer, "heartbeat")


@limits("websocket.heartbeat_timeout", short="0.2")
async def a_peer_that_answers_no_ping_is_kept(trial: Trial) -> None:
    async with served(trial, ANYBODY, "websocket.heartbeat_interval=0.1") as running, peer_of(running) as peer:
        end = await peer.end(within=PATIENCE)
        assert end.code is None


@limits("websocket.send_timeout")
async def a_peer_that_takes_nothing_is_kept(trial: Trial) -> None:
    async with served(trial) as running, peer_of(running, "/flood") as peer:
        # The reader stops at twice its limit, and the rest stays where it is.
        kernel: socket.socket = peer.writer.get_extra_info("socket")
        await eventually(lambda: kernel.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == RESET, within=PATIENCE)


@shows("websocket.send_buffer", {"1048576": False, "67108864": True})
async def twelve_megabytes_may_wait_for_a_slow_peer(trial: Trial) -> bool:
    async with served(trial, ANYBODY) as running, peer_of(running) as peer, httpx.AsyncClient() as client:
        (await client.post(f"{running.url}/push")).raise_for_status()
        say(peer, "ping")
        try:
            said = await the_next(peer, "pong", "close")
        except (EOFError, ConnectionError):
            return False
    return bool(said["type"] == "pong")


@shows("websocket.message_limit", {"1000": CloseCode.MESSAGE_TOO_BIG, "2000": "BAD_REQUEST"})
async def a_message_of_1500_bytes(trial: Trial) -> object:
    async with served(trial, ANYBODY) as running, peer_of(running) as peer:
        peer.send(frame(TEXT, b"x" * 1500))
        return (await the_next(peer, "error", "close"))["code"]


@shows("websocket.message_rate", {"1": 10, "2": 20})
async def how_many_of_25_messages_are_answered(trial: Trial) -> int:
    async with served(trial, ANYBODY) as running, peer_of(running) as peer:
        for _ in range(25):
            say(peer, "ping")
        answers: list[str] = []
        while len(answers) < 25 and "close" not in answers:
            answers.append((await the_next(peer, "pong", "error", "close"))["type"])
        return answers.count("pong")


@shows("websocket.max_topics", {"1": 1, "2": 2})
async def how_many_of_3_topics_are_heard(trial: Trial) -> int:
    async with served(trial, ANYBODY) as running, peer_of(running) as peer:
        await the_next(peer, "subscribed")  # to `everyone`, which is not counted
        for number in range(3):
            say(peer, "subscribe", topic=f"news:{number}")
        answers = [(await the_next(peer, "subscribed", "error"))["type"] for _ in range(3)]
        return answers.count("subscribed")


@limits("websocket.ticket_lifetime", short="1")
async def a_ticket_is_good(trial: Trial) -> None:
    settings = trial.settings(*STAGE)
    async with served(trial) as running, httpx.AsyncClient() as client:
        answer = await client.post(f"{running.url}/api/v1/realtime/tickets", headers=bearer("ada"))
        ticket = answer.raise_for_status().json()["ticket"]

        # Not the client of the house: awaiting it, a wait that is given up would now and then go on (Python 3.11).
        with Redis.from_url(settings.redis.url.reveal()) as redis:
            await eventually(lambda: not redis.exists(_key(ticket)), within=PATIENCE)
        async with _handshake(running, f"/ws?ticket={ticket}") as peer:
            assert _status(peer) == 401


@limits("websocket.review_interval")
async def who_has_signed_out_stays(trial: Trial) -> None:
    signed_out: set[str] = set()

    async def holding(credentials: Sequence[str], _: Resources) -> Collection[str]:
        return () if signed_out else credentials

    async with served(trial, review=holding) as running, peer_of(running, user="ada") as peer:
        # A review of its own follows whenever Redis is connected, also for the first time.
        while (said := await the_next(peer, "subscribed", "resync"))["topic"] != "user:ada" or not said["epoch"]:
            pass
        signed_out.add("ada")
        assert (await the_next(peer, "close"))["reason"] == "signed out"


@shows("websocket.reconnect_spread", {"0": False, "300": True})
async def clients_come_back_later_than_at_once(trial: Trial) -> bool:
    async with AsyncExitStack() as opened:
        running = await opened.enter_async_context(served(trial, ANYBODY, "server.drain_delay=0"))
        peers = [await opened.enter_async_context(peer_of(running)) for _ in range(3)]
        running.stop.set()
        # Of 300 seconds, three draws that all round to nothing come once in 10^14 runs.
        goodbyes = [await the_next(peer, "close") for peer in peers]
        for peer in peers:
            peer.send(goodbye(CloseCode.SERVICE_RESTART))
        return any(each["reason"] != "reconnect_after=0.00" for each in goodbyes)
