"""The keys that an OpenID provider signs with, each with the one algorithm that it may be used for (RFC 7517)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # loaded with the first token of a provider, and not where there is none
    from jwt import PyJWK

# Whoever can verify with a symmetric key can sign with it, so there is none of those (RFC 8725, 3.1 and 3.2).
ALGORITHMS = {
    "RSA": frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
    "EC": frozenset({"ES256", "ES384"}),
    "OKP": frozenset({"EdDSA"}),
}
ANY_ALGORITHM = frozenset().union(*ALGORITHMS.values())
CURVES = {"ES256": "P-256", "ES384": "P-384", "EdDSA": "Ed25519"}
SMALLEST_RSA = 2048  # bits (RFC 7518, 3.3)
MOST = 64  # of one set; the others are not read


def signing_keys(document: Mapping[str, Any]) -> Mapping[str, PyJWK]:
    """By `kid`; what is no key for signatures is left out. Raises `ValueError` for what is no set of keys."""
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise ValueError("there is no list of keys")  # noqa: TRY004  (of a document, not of a program)
    found: dict[str, PyJWK] = {}
    for kid, key in _usable(listed[:MOST]):
        found.setdefault(kid, key)
    return found


def _usable(listed: list[Any]) -> Iterator[tuple[str, PyJWK]]:
    for each in listed:
        kid = each.get("kid") if isinstance(each, dict) else None
        if isinstance(kid, str) and _is_for_signatures(each) and (key := _key(each)) is not None:
            yield kid, key


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    if "d" in jwk:  # a private key that is published is everybody's
        return False
    return jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations


def _key(jwk: Mapping[str, Any]) -> PyJWK | None:
    """None for one of another kind, or too weak. Without `alg` it is the usual one of its kind, RS256 of RSA."""
    from jwt import PyJWK, PyJWTError  # noqa: PLC0415  (see above)

    try:
        key = PyJWK(dict(jwk))
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    allowed = ALGORITHMS.get(str(jwk.get("kty")), frozenset())
    if key.algorithm_name not in allowed or jwk.get("crv") != CURVES.get(key.algorithm_name):
        return None
    return None if getattr(key.key, "key_size", SMALLEST_RSA) < SMALLEST_RSA and jwk["kty"] == "RSA" else key
