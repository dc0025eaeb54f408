"""Everything that a program does to be somebody at a Plinth service, from the first mail to the rotated key.

    IDENTITY_PASSWORD=... python identity_client.py http://127.0.0.1:8000 ada@example.org --name Ada

It needs httpx and nothing else; take from it what you need. Nothing secret is printed, nor taken as an argument, which
a list of processes would show.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx

API = "/api/v1"
Json = Any  # what came as JSON
EARLY = 30  # seconds before its end at which an access token is renewed: a request takes a while, and clocks differ


class Refused(Exception):
    """The service said no: `status` and `code` are for programs, the text is for people."""

    def __init__(self, answer: httpx.Response) -> None:
        body = answer.json() if answer.headers.get("Content-Type", "").startswith("application/json") else {}
        super().__init__(f"{answer.status_code} {body.get('code', '')}: {body.get('error', answer.reason_phrase)}")
        self.status, self.code = answer.status_code, body.get("code")


class Service:
    """One service, at its base address. Use it in a `with` block, which closes its connections."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(self, method: str, path: str, json: Json = None, *, bearer: str = "") -> Json:
        """The answer's JSON, None where it has none. Raises `Refused`."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        answer = self._http.request(method, API + path, json=json, headers=headers)
        if answer.is_error:
            raise Refused(answer)
        return answer.json() if answer.content else None

    def register(self, email: str, password: str, name: str) -> None:
        """Ask for an account. There is none before `verify`, and the answer is the same where there is one already."""
        self.ask("POST", "/auth/register", {"email": email, "password": password, "name": name})

    def verify(self, token: str) -> Json:
        """Confirm the address with the token of the mail, which holds once; gives the user."""
        return self.ask("POST", "/auth/email/verify", {"token": token})


class SignedIn:
    """A program that has signed in. It renews its tokens by itself, and `close` gives them back."""

    def __init__(self, service: Service, email: str, password: str, code: str | None = None) -> None:
        """`code` is of the second factor, for those who have one."""
        self._service = service
        body = {"email": email, "password": password} | ({"code": code} if code else {})
        self._keep(service.ask("POST", "/auth/token", body))

    def ask(self, method: str, path: str, json: Json = None) -> Json:
        """As the user. Raises `Refused`."""
        if time.monotonic() > self._ends - EARLY:
            self.refresh()
        return self._service.ask(method, path, json, bearer=self._access)

    def refresh(self) -> None:
        """Both tokens are new then. Keep the new refresh token, and never use an old one: that ends the sign-in."""
        self._keep(self._service.ask("POST", "/auth/token/refresh", {"refresh_token": self._refresh}))

    def close(self) -> None:
        """The tokens open nothing from now on, on no instance."""
        self._service.ask("POST", "/auth/token/revoke", {"token": self._refresh})

    def _keep(self, tokens: Json) -> None:
        self._access, self._refresh = tokens["access_token"], tokens["refresh_token"]
        self._ends = time.monotonic() + tokens["expires_in"]


def walk(service: Service, email: str, password: str, name: str, read_token: Callable[[], str]) -> None:
    """All of it, one step after the other."""
    service.register(email, password, name)
    say(f"registered: a mail is on its way to {email}")
    user = service.verify(read_token())
    say(f"verified: {user['email']} is a user now, with the role {user['role']}")

    me = SignedIn(service, email, password)
    say(f"signed in: the service knows me as {me.ask('GET', '/auth/me')['user']['name']}")
    me.refresh()
    say(f"refreshed: and still as {me.ask('GET', '/auth/me')['user']['name']}")

    # For machines: a key that opens what it was given, and nothing else. It is told once; store it where secrets are.
    made = me.ask("POST", "/api-keys", {"name": "nightly report", "permissions": ["profile:read"]})
    say(f"made a key: {made['prefix']}... opens {', '.join(made['permissions'])}")
    say(f"called with it: {service.ask('GET', '/auth/me', bearer=made['key'])['credential']}")
    say(f"it opens nothing else: {told(lambda: service.ask('GET', '/sessions', bearer=made['key']))}")

    # Both hold for the overlap, in which the machines are given the new one.
    rotated = me.ask("POST", f"/api-keys/{made['id']}/rotate", {"overlap_seconds": 3600})
    both = [service.ask("GET", "/auth/me", bearer=key)["credential"] for key in (made["key"], rotated["key"])]
    say(f"rotated: {made['prefix']}... and {rotated['prefix']}... both hold: {', '.join(both)}")
    me.ask("DELETE", f"/api-keys/{made['id']}")
    say(f"revoked the old key: {told(lambda: service.ask('GET', '/auth/me', bearer=made['key']))}")

    me.close()
    say(f"gave the tokens back: {told(lambda: me.ask('GET', '/auth/me'))}")
    say(f"the new key goes on: {service.ask('GET', '/auth/me', bearer=rotated['key'])['credential']}")


def told(ask: Callable[[], Json]) -> str:
    """What the service says to something that it must refuse."""
    try:
        ask()
    except Refused as refused:
        return str(refused)
    raise AssertionError("the service did not refuse it")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def token_from_terminal() -> str:
    say("the token of the mail, please:")
    return sys.stdin.readline().strip()


def main() -> None:
    """Read the arguments and go."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("url", help="the service, such as http://127.0.0.1:8000")
    arguments.add_argument("email")
    arguments.add_argument("--name", default="Somebody")
    given = arguments.parse_args()
    password = os.environ.get("IDENTITY_PASSWORD") or sys.exit("Set IDENTITY_PASSWORD.")
    with Service(given.url) as service:
        try:
            walk(service, given.email, password, given.name, token_from_terminal)
        except Refused as refused:
            sys.exit(str(refused))


if __name__ == "__main__":
    main()
