"""Section `oidc`: a provider on this machine that publishes a key and nothing else."""

from __future__ import annotations

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from app.core.errors import Unauthorized
from app.features.identity.errors import ProviderAway
from app.features.identity.service.external import caller_of, is_external
from tests.effects.case import Trial, limits, shows
from tests.effects.somebody import opened
from tests.harness.clock import FakeClock
from tests.harness.openid import AUDIENCE, CLIENT, Key, claims_of, make_key

KEY = make_key()


@dataclass
class Publisher:
    """Where it is, and which paths were asked for."""

    issuer: str = ""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> bytes:
        about = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        body = json.dumps(about if "well-known" in path else {"keys": [_public(KEY)]}).encode()
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def _public(key: Key) -> dict[str, object]:
    return {name: part for name, part in key.jwk.items() if name != "d"}


@asynccontextmanager
async def publishing(*, mute: bool = False) -> AsyncIterator[Publisher]:
    """A mute one takes connections and never answers."""
    publisher = Publisher()

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
            publisher.asked.append(path)
            if mute:
                await reader.read()
            else:
                writer.write(publisher.answer(path))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    publisher.issuer = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield publisher
    finally:
        server.close()


@shows("oidc.issuer", {"https://one.example": True, "https://two.example": False})
async def a_token_of_one_provider_is_the_providers(trial: Trial) -> bool:
    async with opened(trial, f"oidc.audience={AUDIENCE}") as resources:
        return is_external(resources, KEY.sign(claims_of("https://one.example")))


@shows("oidc.audience", {AUDIENCE: True, "another": False})
async def a_token_for_one_audience_opens(trial: Trial) -> bool:
    async with publishing() as provider:
        return await _opens(trial, provider)


@shows("oidc.client_id", {CLIENT: True, "another": False})
async def a_token_of_one_client_opens(trial: Trial) -> bool:
    async with publishing() as provider:
        return await _opens(trial, provider, f"oidc.audience={AUDIENCE}")


async def _opens(trial: Trial, provider: Publisher, *stage: str) -> bool:
    async with opened(trial, f"oidc.issuer={provider.issuer}", *stage) as resources:
        try:
            await caller_of(resources, KEY.sign(claims_of(provider.issuer)))
        except Unauthorized:
            return False
        return True


@shows("oidc.keys_max_age", {"20": 2, "1000": 1})
async def how_often_the_keys_are_asked_for(trial: Trial) -> int:
    """By two tokens, 30 seconds apart."""
    clock = FakeClock(datetime.now(UTC))
    async with publishing() as provider:
        stage = (f"oidc.issuer={provider.issuer}", f"oidc.audience={AUDIENCE}", "oidc.timeout=60")
        async with opened(trial, *stage) as resources:
            timed = replace(resources, clock=clock)
            for _ in range(2):
                await caller_of(timed, KEY.sign(claims_of(provider.issuer)))
                clock.advance(30)
        return provider.asked.count("/keys")


@limits("oidc.timeout")
async def a_provider_that_never_answers_is_away(trial: Trial) -> None:
    async with publishing(mute=True) as provider:
        stage = (f"oidc.issuer={provider.issuer}", f"oidc.audience={AUDIENCE}")
        async with opened(trial, *stage) as resources:
            with suppress(ProviderAway):
                await caller_of(resources, KEY.sign(claims_of(provider.issuer)))
                raise AssertionError("it has answered")
