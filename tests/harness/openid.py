"""A certified OpenID provider in a process of its own (`tests/oidc`), and its keys, with which tests forge tokens."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from app.core.settings import PROJECT_ROOT
from tests.harness.ports import reserved_port

NODE, NPM = shutil.which("node"), shutil.which("npm")
SOURCE = PROJECT_ROOT / "tests" / "oidc"
INSTALLED = PROJECT_ROOT / ".local" / "oidc"
START_LIMIT = 60.0  # seconds; a loaded machine, not a slow provider

AUDIENCE = "https://plinth.example"
PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}
BACK = "https://web.example/back"
CLIENT, OTHER_CLIENT = "web", "other"
SECRET = "made-up-for-tests"
ACCOUNTS: dict[str, dict[str, Any]] = {
    "amy": {"email": "Amy@People.Example", "email_verified": True, "name": "Amy", "role": "admin", "roles": ["admin"]},
    "ben": {"email": "ben@people.example", "email_verified": True, "name": "Ben"},
    "unproven": {"email": "unproven@people.example", "email_verified": False, "name": "Unproven"},
}


@dataclass(frozen=True)
class Key:
    """A private key as the provider is given it, and what signs with it here."""

    kid: str
    algorithm: str
    private: Any

    @property
    def jwk(self) -> dict[str, Any]:
        made = RSAAlgorithm.to_jwk if self.algorithm.startswith(("RS", "PS")) else ECAlgorithm.to_jwk
        parts = {name: part for name, part in made(self.private, as_dict=True).items() if name != "key_ops"}
        return {**parts, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    @property
    def public_jwk(self) -> dict[str, Any]:
        return {name: value for name, value in self.jwk.items() if name not in PRIVATE}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A token that only this key can make, whatever it claims."""
        headers = {"kid": self.kid, "typ": "at+jwt", **header}
        return jwt.encode(dict(claims), self.private, algorithm=self.algorithm, headers=headers)


def make_key(kid: str = "", algorithm: str = "ES256") -> Key:
    private = _rsa_key(kid) if algorithm.startswith(("RS", "PS")) else ec.generate_private_key(ec.SECP256R1())
    return Key(kid or secrets.token_hex(4), algorithm, private)


@lru_cache
def _rsa_key(_: str) -> rsa.RSAPrivateKey:
    """One for each name: making one takes half a second."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims_of(issuer: str, subject: str = "amy", **changes: Any) -> dict[str, Any]:
    """What the provider would say in an access token for this service; a None leaves a claim out."""
    now = int(time.time())
    said = {
        "iss": issuer,
        "sub": subject,
        "aud": AUDIENCE,
        "client_id": CLIENT,
        "jti": secrets.token_hex(8),
        "iat": now,
        "exp": now + 300,
        "scope": "read",
        **ACCOUNTS.get(subject, {}),
    }
    return {name: value for name, value in {**said, **changes}.items() if value is not None}


@dataclass
class OpenIdProvider:
    """The running provider; `asked` are the paths that anybody has asked it for."""

    keys: list[Key]
    port: int
    lifetime: int = 300  # seconds
    asked: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def fetches(self) -> int:
        """How often its keys were asked for."""
        return self.asked.count("/jwks")

    async def start(self, *keys: Key) -> None:
        """Begin, or begin again at the same address; with `keys` where there are some."""
        self.keys = list(keys) or self.keys
        assert NODE
        self._process = await asyncio.create_subprocess_exec(
            *(NODE, "--no-warnings", str(SOURCE / "provider.mjs"), str(await asyncio.to_thread(install))),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(self._settings()).encode() + b"\n")
        async with asyncio.timeout(START_LIMIT):
            self.port = json.loads(await self._process.stdout.readline())["listening"]
        self._reading = asyncio.create_task(self._read(self._process.stdout))

    async def stop(self) -> None:
        """SIGKILL: it is gone, and has refused its first connection when this returns."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reading
        assert self._process.stdin
        self._process.stdin.close()

    async def machine_token(self, *, client: str = CLIENT, audience: str = AUDIENCE) -> str:
        """By the grant `client_credentials`."""
        form = {"grant_type": "client_credentials", "resource": audience, "scope": "read"}
        return str((await self._post(form, client))["access_token"])

    async def sign_in(self, account: str, *, audience: str = AUDIENCE) -> dict[str, Any]:
        """By the grant `authorization_code` with PKCE: an access token and an ID token."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": CLIENT,
            "response_type": "code",
            "redirect_uri": BACK,
            "login_hint": account,
            "scope": "openid email profile read",
            "nonce": "once",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **({"resource": audience} if audience else {}),
        }
        code = await self._code(asked)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": verifier}
        return await self._post(form, CLIENT)

    async def _code(self, asked: Mapping[str, str]) -> str:
        async with httpx.AsyncClient(base_url=self.issuer, timeout=START_LIMIT) as client:
            answer = await client.get("/auth", params=asked)
            while not answer.headers["Location"].startswith(BACK):
                answer = await client.get(answer.headers["Location"])
        return parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]

    async def _post(self, form: Mapping[str, str], client: str) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=START_LIMIT) as http:
            answer = await http.post(f"{self.issuer}/token", data=dict(form), auth=(client, SECRET))
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def _read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            if line.startswith(b"{"):
                self.asked.append(json.loads(line)["asked"])

    def _settings(self) -> dict[str, Any]:
        client = {"client_secret": SECRET, "redirect_uris": [BACK], "response_types": ["code"]}
        grants = {"grant_types": ["authorization_code", "client_credentials"]}
        return {
            "port": self.port,
            "lifetime": self.lifetime,
            "accounts": ACCOUNTS,
            "keys": [key.jwk for key in self.keys],
            "algorithm": self.keys[0].algorithm,
            "clients": [{"client_id": name, **client, **grants} for name in (CLIENT, OTHER_CLIENT)],
        }


@asynccontextmanager
async def openid_provider(*keys: Key, lifetime: int = 300) -> AsyncIterator[OpenIdProvider]:
    """One that listens at an address of its own, and ends with the block."""
    with reserved_port() as port:
        provider = OpenIdProvider([], port, lifetime)
        await provider.start(*(keys or (make_key(),)))
        try:
            yield provider
        finally:
            await provider.stop()


def install() -> Path:
    """Where its packages are; whoever comes first has them installed, once for each lock file."""
    INSTALLED.mkdir(parents=True, exist_ok=True)
    stamp, lock = INSTALLED / "installed", (SOURCE / "package-lock.json").read_text()
    with (INSTALLED / "turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != lock:
            _install()
            stamp.write_text(lock)
    return INSTALLED


def _install() -> None:
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(SOURCE / name, INSTALLED / name)
    assert NPM
    done = subprocess.run(
        [NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"],
        cwd=INSTALLED,
        env=os.environ | {"CI": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"npm ci:\n{done.stdout}{done.stderr}"
