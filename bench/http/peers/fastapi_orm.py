"""FastAPI with SQLAlchemy's asyncio ORM, as the documentation of both has it: a session a request, models all over."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ForeignKey, func, or_, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PAGE = 20

engine = create_async_engine(
    os.environ["BENCH_URL"].replace("postgresql://", "postgresql+asyncpg://"), pool_size=10, max_overflow=0
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase): ...


class User(Base):
    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    is_active: Mapped[bool]


class ApiKey(Base):
    __tablename__ = "api_keys"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    key_hash: Mapped[bytes]
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Item(Base):
    __tablename__ = "items"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    owner: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class OutboxEvent(Base):
    __tablename__ = "outbox"
    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("uuidv7()"))
    aggregate_type: Mapped[str]
    aggregate_id: Mapped[UUID]
    event_type: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)


class Details(BaseModel):
    quantity: Annotated[int, Field(ge=1, le=1000)]
    tags: Annotated[list[Annotated[str, Field(min_length=1, max_length=20)]], Field(max_length=5)]
    note: Annotated[str, Field(max_length=200)]


class NewItem(BaseModel):
    title: Annotated[str, Field(min_length=1, max_length=80)]
    payload: Details


class ItemOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    title: str
    payload: dict[str, Any]
    created_at: datetime


class ItemPage(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    items: list[ItemOut]
    next_cursor: UUID | None


class Hello(BaseModel):
    message: str
    numbers: list[int]


app = FastAPI()
bearer = HTTPBearer(auto_error=False)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]


async def get_user(
    session: Session, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> User:
    if credentials is None:
        raise HTTPException(401)
    holds = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())
    user = await session.scalar(
        select(User)
        .join(ApiKey, ApiKey.created_by == User.id)
        .where(ApiKey.key_hash == hashlib.sha256(credentials.credentials.encode()).digest())
        .where(ApiKey.revoked_at.is_(None), holds, User.is_active)
    )
    if user is None:
        raise HTTPException(401)
    return user


CurrentUser = Annotated[User, Depends(get_user)]


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/plain")
async def plain() -> Hello:
    return Hello(message="Hello", numbers=[1, 2, 3])


@app.get("/items", response_model=ItemPage)
async def read_items(session: Session, user: CurrentUser, after: UUID | None = None) -> dict[str, Any]:
    query = select(Item).where(Item.owner == user.id).order_by(Item.id).limit(PAGE)
    if after is not None:
        query = query.where(Item.id > after)
    items = (await session.scalars(query)).all()
    return {"items": items, "next_cursor": items[-1].id if len(items) == PAGE else None}


@app.post("/items", status_code=201, response_model=ItemOut)
async def write_item(session: Session, user: CurrentUser, body: NewItem) -> Item:
    item = Item(owner=user.id, title=body.title, payload=body.payload.model_dump())
    session.add(item)
    await session.flush()
    payload = {"id": str(item.id), "title": item.title}
    session.add(
        OutboxEvent(aggregate_type="item", aggregate_id=item.id, event_type="bench.item_written", payload=payload)
    )
    await session.commit()
    return item
