"""People for the tests of identity: users with a password, and the browsers that they sign in with."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

import httpx
from argon2 import PasswordHasher

from app.core.database import Database
from app.core.ids import new_id
from tests.harness.app_process import AppProcess

COOKIE = "__Host-session"
PASSWORD = "seven purple otters juggle 41"
# Of PASSWORD, with the parameters in force (m=19456, t=2, p=1), so that making a person costs no hashing.
PASSWORD_HASH = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(PASSWORD)
HOUR, WEEK = 3600, 604_800  # seconds
API = "/api/v1"
PATIENT = "redis.timeout=30"  # where Redis has to answer: a busy machine that holds it up is no outage


@dataclass(frozen=True)
class Person:
    """A user in the database; `password` is the right one."""

    id: UUID
    email: str
    password: str
    name: str = "Ada"
    role: str = "user"


@lru_cache
def _hash_of(password: str) -> str:
    if password == PASSWORD:
        return PASSWORD_HASH
    return PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(password)


async def make_person(
    db: Database,
    *,
    email: str | None = None,
    password: str = PASSWORD,
    name: str = "Ada",
    role: str = "user",
    active: bool = True,
    verified: bool = True,
) -> Person:
    """Without an address, one that nobody else has."""
    address = email or f"{new_id()}@people.example"
    user_id = await db.fetch_val(
        "INSERT INTO users (email, name, password_hash, role, is_active, email_verified)"
        " VALUES (:email, :name, :hash, :role, :active, :verified) RETURNING id",
        {
            "email": address,
            "name": name,
            "hash": _hash_of(password),
            "role": role,
            "active": active,
            "verified": verified,
        },
    )
    return Person(user_id, address, password, name, role)


class Browser:
    """A browser as far as a server can tell: it keeps the cookie and the CSRF token, and says where its page is from.

    The cookie is `Secure` and the tests speak plain HTTP, so it is kept by hand. `headers` go with every request and
    can be changed; an empty `cookie` or `csrf_token` is not sent.
    """

    def __init__(self, app: AppProcess) -> None:
        self.app = app
        self.cookie = ""
        self.csrf_token = ""
        self.headers: dict[str, str] = {"Origin": app.url, "Sec-Fetch-Site": "same-origin"}

    def sent(self) -> dict[str, str]:
        """The headers of its next request."""
        cookie = {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        token = {"X-CSRF-Token": self.csrf_token} if self.csrf_token else {}
        return {**self.headers, **cookie, **token}

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """`path` is what stands behind `/api/v1`; `headers` among the options replace those of the browser."""
        headers = {**self.sent(), **options.pop("headers", {})}
        answer = await self.app.http.request(method, API + path, headers=headers, **options)
        self._keep(answer)
        return answer

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return await self.ask("POST", path, **options, **({} if json is None else {"json": json}))

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self.ask("DELETE", path, **options)

    async def sign_in(self, person: Person, **more: Any) -> httpx.Response:
        """By the form, as people do it."""
        return await self.post("/auth/login", {"email": person.email, "password": person.password, **more})

    def _keep(self, answer: httpx.Response) -> None:
        self.app.http.cookies.clear()  # the client is shared, and its jar is not this browser's
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if name == COOKIE:
                self.cookie = value
        if answer.headers.get("content-type") == "application/json" and answer.content:
            told = answer.json()
            if isinstance(told, dict) and isinstance(told.get("csrf_token"), str):
                self.csrf_token = told["csrf_token"]


async def signed_in(app: AppProcess, db: Database, person: Person, *, lifetime: float = WEEK) -> Browser:
    """A browser with a session that was written straight into the table: no hashing, no throttle."""
    browser = Browser(app)
    browser.cookie, browser.csrf_token = await open_session(db, person, lifetime=lifetime)
    return browser


async def open_session(db: Database, person: Person, *, lifetime: float = WEEK) -> tuple[str, str]:
    """The cookie and the CSRF token of a new session in the table."""
    cookie, csrf_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    await db.execute(
        "INSERT INTO sessions (user_id, token_hash, csrf_token, ip_address, user_agent, expires_at)"
        " VALUES (:user, :hash, :csrf, '127.0.0.1', 'a browser', now() + :lifetime * interval '1 second')",
        {
            "user": person.id,
            "hash": hashlib.sha256(cookie.encode()).digest(),
            "csrf": csrf_token,
            "lifetime": lifetime,
        },
    )
    return cookie, csrf_token


async def session_of(db: Database, browser: Browser) -> UUID:
    """The id of the session that this browser's cookie stands for."""
    hashed = hashlib.sha256(browser.cookie.encode()).digest()
    found = await db.fetch_val("SELECT id FROM sessions WHERE token_hash = :hash", {"hash": hashed})
    assert isinstance(found, UUID), "its session is over"
    return found
