"""Asks a contestant for all that will be timed, and for what must fail: whoever answers otherwise is not timed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import httpx

from bench.http.feature import PAGE
from bench.http.seeds import Seeds

NEW = {"title": "A lamp", "payload": {"quantity": 3, "tags": ["light", "desk"], "note": "Bends."}}
WRONG = {
    "no title": {"payload": NEW["payload"]},
    "an empty title": {**NEW, "title": ""},
    "a quantity that is none": {**NEW, "payload": {"quantity": "many", "tags": [], "note": ""}},
    "a quantity out of range": {**NEW, "payload": {"quantity": 0, "tags": [], "note": ""}},
    "too many tags": {**NEW, "payload": {"quantity": 1, "tags": ["x"] * 6, "note": ""}},
}
# What the database refuses while it is looked whether a write is one transaction: first the item, then the event.
UNWANTED = {"items": "title <> 'unwanted item'", "outbox": "payload ->> 'title' IS DISTINCT FROM 'unwanted event'"}


class Differs(Exception):
    """A contestant does not do the same work as the others."""


def client_of(url: str) -> httpx.AsyncClient:
    """With a connection for each request: some servers hang up after an error, and not at once."""
    return httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_keepalive_connections=0), timeout=30)


class Verification:
    """Of one running contestant, on a database that nobody else changes meanwhile."""

    def __init__(self, client: httpx.AsyncClient, database: asyncpg.Connection, seeds: Seeds) -> None:
        self._client, self._database, self._seeds = client, database, seeds

    async def run(self) -> None:
        """Raises `Differs`; leaves no row behind."""
        await self._plain()
        await self._strangers()
        await self._page()
        await self._writes()
        await self._wrong_bodies()
        await self._one_transaction()
        await self._database.execute("DELETE FROM items WHERE title = $1", NEW["title"])
        await self._database.execute("TRUNCATE outbox")

    async def _plain(self) -> None:
        _same("GET /health/live", (await self._get("/health/live")).json(), {"status": "ok"})
        _same("GET /plain", (await self._get("/plain")).json(), {"message": "Hello", "numbers": [1, 2, 3]})

    async def _strangers(self) -> None:
        unknown = self._seeds.tokens[0][:-1] + "?"
        for who, token in {
            "nobody": None,
            "an unknown token": unknown,
            "an expired token": self._seeds.expired,
            "an inactive person": self._seeds.inactive,
        }.items():
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            for method in ("GET", "POST"):
                body = NEW if method == "POST" else None
                answer = await self._client.request(method, "/items", headers=headers, json=body)
                _same(f"{method} /items by {who}", answer.status_code, 401)
        _same("items written by strangers", await self._count("items", NEW["title"]), 0)

    async def _page(self) -> None:
        rows = await self._database.fetch(
            "SELECT id, title, payload, created_at FROM items WHERE owner = $1 ORDER BY id LIMIT $2",
            self._seeds.owner,
            PAGE,
        )
        expected = {"items": [_item(row) for row in rows], "next_cursor": str(rows[-1]["id"])}
        _same("GET /items", _read((await self._get("/items")).json()), expected)
        behind = (await self._get(f"/items?after={rows[-2]['id']}")).json()
        _same("GET /items?after=", _read(behind), {"items": expected["items"][-1:], "next_cursor": None})

    async def _writes(self) -> None:
        answer = await self._post(NEW)
        _same("POST /items", answer.status_code, 201)
        rows = await self._database.fetch(
            "SELECT owner, id, title, payload, created_at FROM items WHERE title = $1", NEW["title"]
        )
        _same("items after one POST", len(rows), 1)
        _same("the answer to POST", _read(answer.json()), _item(rows[0]))
        _same("the item's payload", _item(rows[0])["payload"], NEW["payload"])
        _same("the item's owner", rows[0]["owner"], self._seeds.owner)
        await self._event_of(rows[0])

    async def _event_of(self, row: asyncpg.Record) -> None:
        events = await self._database.fetch("SELECT aggregate_type, aggregate_id, event_type, payload FROM outbox")
        _same("events after one POST", len(events), 1)
        names = (events[0]["aggregate_type"], events[0]["aggregate_id"], events[0]["event_type"])
        _same("the event", names, ("item", row["id"], "bench.item_written"))
        _same("its payload", json.loads(events[0]["payload"]), {"id": str(row["id"]), "title": row["title"]})

    async def _wrong_bodies(self) -> None:
        for what, body in WRONG.items():
            status = (await self._post(body)).status_code
            if not 400 <= status < 500:
                raise Differs(f"POST /items with {what}: {status}, expected 4xx")
        _same("items after wrong bodies", await self._count("items", NEW["title"]), 1)

    async def _one_transaction(self) -> None:
        """An item without its event, or an event without its item, shows that they were two."""
        async with self._refusing():
            for title in ("unwanted item", "unwanted event"):
                status = (await self._post({**NEW, "title": title})).status_code
                if status < 400:
                    raise Differs(f"POST /items that the database refuses: {status}, expected an error")
                _same(f"items after a refused write ({title})", await self._count("items", title), 0)
        _same("events after refused writes", await self._database.fetchval("SELECT count(*) FROM outbox"), 1)

    @asynccontextmanager
    async def _refusing(self) -> AsyncIterator[None]:
        for table, condition in UNWANTED.items():
            await self._database.execute(f"ALTER TABLE {table} ADD CONSTRAINT bench_refuses CHECK ({condition})")
        try:
            yield
        finally:
            for table in UNWANTED:
                await self._database.execute(f"ALTER TABLE {table} DROP CONSTRAINT bench_refuses")

    async def _get(self, path: str) -> httpx.Response:
        answer = await self._client.get(path, headers=self._bearer)
        _same(f"GET {path.partition('=')[0]}", answer.status_code, 200)
        return answer

    async def _post(self, body: object) -> httpx.Response:
        return await self._client.post("/items", headers=self._bearer, json=body)

    async def _count(self, table: str, title: object) -> int:
        found: int = await self._database.fetchval(f"SELECT count(*) FROM {table} WHERE title = $1", title)  # noqa: S608
        return found

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._seeds.tokens[0]}"}


def _same(what: str, given: object, expected: object) -> None:
    if given != expected:
        raise Differs(f"{what}: {given!r}, expected {expected!r}")


def _item(row: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": str(row["id"]),
        "title": row["title"],
        "payload": json.loads(row["payload"]),
        "created_at": row["created_at"],
    }


def _read(answer: dict[str, Any]) -> dict[str, Any]:
    """Times are compared as times: some write +00:00 and some Z."""
    if "items" in answer:
        return {**answer, "items": [_read(item) for item in answer["items"]]}
    return {**answer, "created_at": datetime.fromisoformat(answer["created_at"])}
