"""The keys of the OpenID provider, kept as long as it says the same; asking it holds up nobody for long.

One request to the provider at a time, whoever waits for it, and then none for `INTERVAL`: made-up names of keys do not
become requests. Keys in use hold while the provider is away, but not for ever: it might want to withdraw one.
"""

from __future__ import annotations

import asyncio
import ssl
from contextvars import Context
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import structlog

from app.core.clock import Clock
from app.core.errors import Unauthorized
from app.core.resources import Resources
from app.core.settings.sections import Oidc
from app.features.identity.discovery import Published, discover
from app.features.identity.errors import ProviderAway

if TYPE_CHECKING:  # loaded with the first token of a provider, and not where there is none
    import httpx
    from jwt import PyJWK

log = structlog.get_logger(__name__)

INTERVAL = 5.0  # seconds from one answer, or the lack of it, to the next request
STALE = 3600.0  # seconds beyond `oidc.keys_max_age` for which keys hold while the provider does not answer


@dataclass(frozen=True)
class SigningKey:
    """A key, and whose."""

    issuer: str
    key: PyJWK


class Provider:
    """Asks when the first token comes, not when the process starts: that must not depend on another service."""

    def __init__(self, settings: Oidc, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._client: httpx.AsyncClient | None = None
        self._published: Published | None = None
        self._published_at = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._asked_at: float | None = None  # when the last request was over
        self._away = False  # and whether it failed

    async def key(self, kid: str) -> SigningKey:
        """Raises `Unauthorized` where the provider has no such key, and `ProviderAway` where nobody can tell."""
        found = self._find(kid)
        if found and self._age() < self._settings.keys_max_age:
            return found
        if await self._refreshed(found):
            found = self._find(kid)
        if found:
            return found
        if self._away or self._published is None:
            raise ProviderAway(retry_after=max(1, ceil(self._pause())))
        raise Unauthorized

    async def close(self) -> None:
        if self._asking:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        if self._client:
            await self._client.aclose()

    def _find(self, kid: str) -> SigningKey | None:
        if self._published is None or self._age() >= self._settings.keys_max_age + STALE:
            return None
        key = self._published.keys.get(kid)
        return SigningKey(self._published.issuer, key) if key else None

    def _age(self) -> float:
        return self._clock.monotonic() - self._published_at

    def _pause(self) -> float:
        """Seconds until the provider may be asked again; who wants its keys more often may ask more often."""
        interval = min(INTERVAL, self._settings.keys_max_age)
        return 0.0 if self._asked_at is None else self._asked_at + interval - self._clock.monotonic()

    async def _refreshed(self, found: SigningKey | None) -> bool:
        """Have the provider asked, and wait for it where that is worth it.

        While it is away, nobody waits who has a key already, and of the others the one who asks: it may be back.
        """
        asks = self._asking is None and self._pause() <= 0
        if asks:
            # Not a part of one request: it is not cancelled with it, and has nothing of it in its log.
            self._asking = asyncio.create_task(self._ask(), name="openid keys", context=Context())
        if self._asking is None or (self._away and (found or not asks)):
            return False
        await asyncio.wait([self._asking])
        return True

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout):
                if self._client is None:
                    self._client = await asyncio.to_thread(_make_client)
                published = await discover(self._client, self._settings.issuer)
            self._published, self._published_at = published, self._clock.monotonic()
            self._away = False
            log.info("openid_keys_fetched", issuer=published.issuer, keys=sorted(published.keys))
        except Exception as error:  # noqa: BLE001  (whatever another service does, tokens are answered for)
            self._away = True
            log.warning(
                "openid_provider_away", issuer=self._settings.issuer, cause=type(error).__name__, said=str(error)
            )
        finally:
            self._asked_at = self._clock.monotonic()
            self._asking = None


def provider_of(resources: Resources) -> Provider:
    """The one of these resources; closed with them."""
    return resources.held.obtain(Provider, lambda: Provider(resources.settings.oidc, resources.clock))


def _make_client() -> httpx.AsyncClient:
    """In a thread: the first import, and reading the machine's certificates, take longer than a request."""
    import httpx  # noqa: PLC0415  (see above)
    import jwt  # noqa: F401, PLC0415  (what reads the keys afterwards)

    return httpx.AsyncClient(
        follow_redirects=False,
        trust_env=False,  # nothing but the settings says whom this process talks to
        verify=ssl.create_default_context(),  # whom the machine trusts, which may be a company's own authority
        timeout=None,  # noqa: S113  (one limit for all of it is around the whole)
        headers={"Accept": "application/json", "Accept-Encoding": "identity"},
    )
