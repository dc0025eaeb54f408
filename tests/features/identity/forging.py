"""Forged tokens, each with a way to read tokens that is known from the wild and takes it for genuine.

All are made of a genuine token, whose row is in force: one that is believed opens the door.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.core.settings.sections import Jwt
from tests.features.identity.programs import header_of, said_by

DAY = 86_400


@dataclass(frozen=True)
class Forgery:
    """`make` turns a genuine token into the forged one; `naive` reads it, and raises where it does not believe it."""

    name: str
    make: Callable[[Jwt, str], str]
    naive: Callable[[Jwt, str], object]


@cache
def stranger() -> RSAPrivateKey:
    """The attacker's own key; its public half stands for any public key that a service knows, too."""
    return generate_private_key(65_537, 2048)


@cache
def public_pem() -> bytes:
    return stranger().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def joined(*parts: bytes) -> str:
    return ".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def signed(key: bytes, header: bytes, payload: bytes) -> str:
    """Whatever the two say: HMAC-SHA256."""
    text = joined(header, payload)
    return f"{text}.{joined(hmac.digest(key, text.encode(), 'sha256'))}"


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "===")  # one that skips over what it does not know


def _secret(settings: Jwt) -> bytes:
    return settings.secret.reveal().encode()


def _payload(token: str) -> bytes:
    return decoded(token.split(".")[1])


# How naive services read tokens.


def header_decides(settings: Jwt, token: str) -> object:
    """`alg` says how to verify, `kid` or `jwk` with which key: as many libraries did in 2015 (RFC 8725, 2.1)."""
    header = header_of(token)
    text, _, signature = token.rpartition(".")
    if header["alg"].lower() == "none":
        return said_by(token)
    keys = {"us": _secret(settings), "them": public_pem(), "../../../../dev/null": b"", "x' UNION SELECT 'k": b"k"}
    if header["alg"] == "RS256":
        key = jwt.PyJWK(header["jwk"]).key if "jwk" in header else public_pem()
        return jwt.decode(token, key, algorithms=["RS256"], options={"verify_aud": False})
    key = keys.get(header.get("kid", "us"), _secret(settings))
    if not hmac.compare_digest(decoded(signature), hmac.digest(key, text.encode(), "sha256")):
        raise jwt.InvalidSignatureError
    return said_by(token)


def signature_decides(settings: Jwt, token: str) -> object:
    """A good signature is all that it asks for."""
    header, payload, signature = token.split(".")
    good = hmac.digest(_secret(settings), f"{header}.{payload}".encode(), "sha256")
    if not hmac.compare_digest(decoded(signature), good):
        raise jwt.InvalidSignatureError
    return json.loads(decoded(payload))


def library_decides(settings: Jwt, token: str) -> object:
    """As the library's manual has it: the algorithm is pinned, audience and issuer are asked for."""
    return jwt.decode(
        token, settings.secret.reveal(), algorithms=["HS256"], audience=settings.audience, issuer=settings.issuer
    )


def nothing_decides(_settings: Jwt, token: str) -> object:
    """Decoded and not verified: what `sub` says is who it is."""
    return said_by(token)


# What attackers send.


def _unsigned(spelling: str, _settings: Jwt, token: str) -> str:
    return f"{joined(json.dumps({'alg': spelling, 'typ': 'at+jwt'}).encode(), _payload(token))}."


def _with_header(changes: Mapping[str, Any], settings: Jwt, token: str, *, key: bytes | None = None) -> str:
    header = {name: value for name, value in {**header_of(token), **changes}.items() if value is not None}
    return signed(key if key is not None else _secret(settings), json.dumps(header).encode(), _payload(token))


def _with_claims(changes: Mapping[str, Any], settings: Jwt, token: str) -> str:
    claims = {name: value for name, value in {**said_by(token), **changes}.items() if value is not None}
    return _with_payload(json.dumps(claims).encode(), settings, token)


def _with_payload(payload: bytes, settings: Jwt, token: str) -> str:
    return signed(_secret(settings), json.dumps(header_of(token)).encode(), payload)


def _relative(claim: str, seconds: float, settings: Jwt, token: str) -> str:
    return _with_claims({claim: int(time.time() + seconds)}, settings, token)


def _with_own_key(changes: Mapping[str, Any], _settings: Jwt, token: str) -> str:
    claims, headers = said_by(token), {"typ": "at+jwt", **changes}
    return jwt.encode(claims, stranger(), algorithm="RS256", headers=headers)


def _with_jwk(settings: Jwt, token: str) -> str:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger().public_key()))
    return _with_own_key({"jwk": public}, settings, token)


def _twice(settings: Jwt, token: str) -> str:
    """The first `sub` is somebody else's, the last the owner's; readers differ in which they take."""
    return _with_payload(b'{"sub":"%s",' % str(uuid4()).encode() + _payload(token)[1:], settings, token)


def _another_user(_settings: Jwt, token: str) -> str:
    header, _, signature = token.split(".")
    payload = json.dumps({**said_by(token), "sub": str(uuid4())}).encode()
    return f"{header}.{joined(payload)}.{signature}"


def _unsigned_forgeries() -> Iterator[Forgery]:
    for spelling in ("none", "None", "NONE", "nOnE"):
        yield Forgery(f"alg {spelling}", partial(_unsigned, spelling), header_decides)


def _forged_headers() -> Iterator[Forgery]:
    yield Forgery(
        "HS256 with a public key",
        lambda settings, token: _with_header({"kid": "them"}, settings, token, key=public_pem()),
        header_decides,
    )
    yield Forgery("RS256 with a stranger's key", partial(_with_own_key, {}), header_decides)
    yield Forgery("jwk in the header", _with_jwk, header_decides)
    yield Forgery(
        "kid is the path of an empty file",
        lambda settings, token: _with_header({"kid": "../../../../dev/null"}, settings, token, key=b""),
        header_decides,
    )
    yield Forgery(
        "kid injects SQL that gives the key",
        lambda settings, token: _with_header({"kid": "x' UNION SELECT 'k"}, settings, token, key=b"k"),
        header_decides,
    )
    headers: dict[str, Mapping[str, Any]] = {
        "kid unknown": {"kid": "0" * 16},
        "kid missing": {"kid": None},
        "kid is a list": {"kid": [1]},
        "typ JWT, as an ID token": {"typ": "JWT"},
        "typ missing": {"typ": None},
        "x5u in the header": {"x5u": "http://127.0.0.1:1/cert.pem"},
        "jku in the header": {"jku": "http://127.0.0.1:1/jwks.json"},
        "crit names an unknown extension": {"crit": ["exp"]},
        "zip in the header": {"zip": "DEF"},
    }
    for name, changes in headers.items():
        yield Forgery(name, partial(_with_header, changes), signature_decides)
    yield Forgery(
        "header nested 1,200 deep",
        lambda settings, token: signed(_secret(settings), b"[" * 1200, _payload(token)),
        signature_decides,
    )


def _forged_claims() -> Iterator[Forgery]:
    yield Forgery("expired a second ago", partial(_relative, "exp", -1), signature_decides)
    yield Forgery("expired a day ago", partial(_relative, "exp", -DAY), signature_decides)
    yield Forgery(
        "not yet valid",
        lambda s, t: _with_claims({n: int(time.time()) + DAY for n in ("nbf", "iat")}, s, t),
        signature_decides,
    )
    yield Forgery("nbf alone in the future", partial(_relative, "nbf", DAY), signature_decides)
    yield Forgery("iat alone in the future", partial(_relative, "iat", DAY), signature_decides)
    for name in ("iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp"):
        naive = signature_decides if name in {"iss", "aud"} else library_decides
        yield Forgery(f"{name} missing", partial(_with_claims, {name: None}), naive)
    claims: dict[str, Mapping[str, Any]] = {
        "another service's": {"iss": "https://evil.example"},
        "iss with a slash": {"iss": "plinth/"},
        "for another audience": {"aud": "another"},
        "aud is no text": {"aud": True},
        "exp is text": {"exp": "4102444800"},
        "exp is a float": {"exp": 4102444800.5},
        "exp is true": {"exp": True},
        "exp is beyond all years": {"exp": 10**18},
        "exp is negative": {"exp": -1},
        "exp is no number": {"exp": [4102444800]},
        "sub is a number": {"sub": 1},
        "jti is no id": {"jti": "' OR 1=1 --"},
        "sid is of another family": {"sid": str(uuid4())},
        "sub is another user": {"sub": str(uuid4())},
        "a claim that we do not make": {"role": "admin"},
    }
    for name, changes in claims.items():
        yield Forgery(name, partial(_with_claims, changes), signature_decides)
    yield Forgery(
        "for many audiences", lambda s, t: _with_claims({"aud": [s.audience, "another"]}, s, t), library_decides
    )
    yield Forgery("sub twice", _twice, library_decides)
    yield Forgery("the claims are a list", partial(_with_payload, b"[]"), signature_decides)
    yield Forgery(
        "exp is Infinity",
        lambda s, t: _with_payload(_payload(t).replace(b'"exp":', b'"exp":Infinity,"x":'), s, t),
        signature_decides,
    )


def _broken_signatures() -> Iterator[Forgery]:
    yield Forgery("no signature", lambda _, token: token.rpartition(".")[0] + ".", nothing_decides)
    yield Forgery("another user under the same signature", _another_user, nothing_decides)
    yield Forgery(
        "signed with a wrong secret",
        lambda settings, token: _with_header({}, settings, token, key=b"w" * 32),
        nothing_decides,
    )
    yield Forgery(
        "signed with the hash of the secret, which kid shows",
        lambda settings, token: _with_header(
            {}, settings, token, key=hashlib.sha256(_secret(settings)).hexdigest()[:16].encode()
        ),
        nothing_decides,
    )


FORGERIES = (*_unsigned_forgeries(), *_forged_headers(), *_forged_claims(), *_broken_signatures())
