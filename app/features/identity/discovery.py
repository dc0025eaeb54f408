"""What an OpenID provider says of itself: OpenID Connect Discovery 1.0, and the set of its keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.core.protected import is_protected
from app.features.identity.signing_keys import signing_keys

if TYPE_CHECKING:  # loaded with the first token of a provider, and not where there is none
    import httpx
    from jwt import PyJWK

LARGEST = 256 * 1024  # bytes of an answer; those of large providers have a tenth of that


class ProviderTrouble(Exception):
    """The provider answered, but not as an OpenID provider does."""


@dataclass(frozen=True)
class Published:
    """The provider's name, just as its tokens have it in `iss`, and its keys by `kid`."""

    issuer: str
    keys: Mapping[str, PyJWK]


async def discover(client: httpx.AsyncClient, issuer: str) -> Published:
    """Two requests. Raises `ProviderTrouble`, `ValueError`, or what httpx does; it has no limit of time of its own."""
    about = await _document(client, f"{issuer}/.well-known/openid-configuration")
    named, keys = about.get("issuer"), about.get("jwks_uri")
    # A setting has no slash at its end, the names of some providers do; otherwise they are the same (Discovery, 4.3).
    if not isinstance(named, str) or named.removesuffix("/") != issuer:
        raise ProviderTrouble("its document is another issuer's")
    if not isinstance(keys, str) or not is_protected(keys):
        raise ProviderTrouble("its keys do not come over TLS")
    return Published(named, signing_keys(await _document(client, keys)))


async def _document(client: httpx.AsyncClient, url: str) -> Mapping[str, Any]:
    """A JSON object of an answer that is no redirect: one could lead to any host that this one can reach."""
    async with client.stream("GET", url) as answer:
        if answer.status_code != 200:
            raise ProviderTrouble(f"it answers {answer.status_code}")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise ProviderTrouble("its answer is compressed, which was not asked for")
        body = bytearray()
        async for chunk in answer.aiter_raw():
            body += chunk
            if len(body) > LARGEST:
                raise ProviderTrouble("its answer is too large")
    found = json.loads(bytes(body))
    if not isinstance(found, dict):
        raise ProviderTrouble("its answer is no JSON object")
    return found
