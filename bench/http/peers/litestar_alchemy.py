"""Litestar with Advanced Alchemy, as the guides of both have it: the plugin's session, services, autocommit."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from advanced_alchemy.base import DefaultBase
from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
    providers,
)
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from litestar import Controller, Litestar, Request, get, post
from litestar.di import Provide
from litestar.exceptions import NotAuthorizedException
from msgspec import Meta, Struct, to_builtins
from sqlalchemy import ForeignKey, func, or_, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

PAGE = 20

alchemy = SQLAlchemyAsyncConfig(
    connection_string=os.environ["BENCH_URL"].replace("postgresql://", "postgresql+asyncpg://"),
    engine_config=EngineConfig(pool_size=10, max_overflow=0),
    session_config=AsyncSessionConfig(expire_on_commit=False),
    before_send_handler="autocommit",
)


class User(DefaultBase):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    is_active: Mapped[bool]


class ApiKey(DefaultBase):
    __tablename__ = "api_keys"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_hash: Mapped[bytes]
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Item(DefaultBase):
    __tablename__ = "items"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    owner: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OutboxEvent(DefaultBase):
    __tablename__ = "outbox"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    aggregate_type: Mapped[str]
    aggregate_id: Mapped[UUID]
    event_type: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Details(Struct):
    quantity: Annotated[int, Meta(ge=1, le=1000)]
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=20)]], Meta(max_length=5)]
    note: Annotated[str, Meta(max_length=200)]


class NewItem(Struct):
    title: Annotated[str, Meta(min_length=1, max_length=80)]
    payload: Details


class ItemOut(Struct):
    id: UUID
    title: str
    payload: dict[str, Any]
    created_at: datetime


class ItemPage(Struct):
    items: list[ItemOut]
    next_cursor: UUID | None


class Hello(Struct):
    message: str
    numbers: list[int]


class ItemService(SQLAlchemyAsyncRepositoryService[Item]):
    class Repository(SQLAlchemyAsyncRepository[Item]):
        model_type = Item

    repository_type = Repository


class OutboxService(SQLAlchemyAsyncRepositoryService[OutboxEvent]):
    class Repository(SQLAlchemyAsyncRepository[OutboxEvent]):
        model_type = OutboxEvent

    repository_type = Repository


async def provide_user(request: Request[Any, Any, Any], db_session: AsyncSession) -> User:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthorizedException
    user: User | None = await db_session.scalar(
        select(User)
        .join(ApiKey, ApiKey.created_by == User.id)
        .where(ApiKey.key_hash == hashlib.sha256(token.encode()).digest())
        .where(ApiKey.revoked_at.is_(None), User.is_active)
        .where(or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()))
    )
    if user is None:
        raise NotAuthorizedException
    return user


class ItemController(Controller):
    path = "/items"
    dependencies = {  # noqa: RUF012  (as Litestar declares it)
        **providers.create_service_dependencies(ItemService, "items", config=alchemy),
        **providers.create_service_dependencies(OutboxService, "outbox", config=alchemy),
        "user": Provide(provide_user),
    }

    @get()
    async def read_items(self, items: ItemService, user: User, after: UUID | None = None) -> ItemPage:
        behind = [Item.id > after] if after is not None else []
        rows = await items.get_many(Item.owner == user.id, *behind, OrderBy("id", "asc"), LimitOffset(PAGE, 0))
        page = [items.to_schema(row, schema_type=ItemOut) for row in rows]
        return ItemPage(page, page[-1].id if len(page) == PAGE else None)

    @post()
    async def write_item(self, items: ItemService, outbox: OutboxService, user: User, data: NewItem) -> ItemOut:
        item = await items.create({"owner": user.id, "title": data.title, "payload": to_builtins(data.payload)})
        written = {"id": str(item.id), "title": item.title}
        await outbox.create(
            {
                "aggregate_type": "item",
                "aggregate_id": item.id,
                "event_type": "bench.item_written",
                "payload": written,
            }
        )
        shown: ItemOut = items.to_schema(item, schema_type=ItemOut)
        return shown


@get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@get("/plain")
async def plain() -> Hello:
    return Hello("Hello", [1, 2, 3])


app = Litestar([live, plain, ItemController], plugins=[SQLAlchemyPlugin(config=alchemy)])
