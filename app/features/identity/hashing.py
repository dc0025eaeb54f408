"""Hashes passwords beside the loop: on two threads, for so many people at once as can be answered in time."""

from __future__ import annotations

import asyncio
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from secrets import token_bytes
from typing import ParamSpec, TypeVar

import structlog
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from app.core.resources import Resources
from app.features.identity.errors import HashingBusy

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

# OWASP Password Storage Cheat Sheet: the least memory that it recommends, for some 20 ms of one core.
ARGON2ID = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
THREADS = 2
WAITING = 16  # beyond those being hashed; the last of them waits some 0.2 s
RETRY_AFTER = 1  # seconds


class Hashing:
    """Passwords in and out of Argon2id, on threads of its own.

    All but `is_outdated` raises `HashingBusy` at once where too many wait already: a queue without an end would make
    everybody wait until nobody does any more.
    """

    def __init__(self) -> None:
        """No thread is started before the first password."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="hashing")
        self._places = threading.BoundedSemaphore(THREADS + WAITING)

    async def hash(self, password: str) -> str:
        """In PHC form, with a salt of its own."""
        return await self.run(ARGON2ID.hash, _bytes(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password; without a hash it never is, and that takes as long to find out."""
        return await self.run(_verify, password_hash or STAND_IN, _bytes(password))

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than those of today."""
        return ARGON2ID.check_needs_rehash(password_hash)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Slow work about a password, in the same queue.

        Where the caller has gone, what waits gives its place back at once, and what has begun when it ends: a thread
        can't be stopped.
        """
        if not self._places.acquire(blocking=False):
            raise HashingBusy(retry_after=RETRY_AFTER)
        try:
            future = self._threads.submit(work, *args, **kwargs)
        except BaseException:
            self._places.release()
            raise
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: Future[T]) -> None:
        self._places.release()

    async def close(self) -> None:
        """What has begun ends first; what waits is cancelled."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)


def hashing_of(resources: Resources) -> Hashing:
    """The one of this process."""
    return resources.held.obtain(Hashing, Hashing)


def normal(password: str) -> str:
    """The same text, however a keyboard or a system composes it: é is one character or two.

    NFC, as RFC 8265 (4.2.2) has it for passwords. NFKC would also make one of what people see as different, such as
    x² and x2, and ASVS 6.2.8 wants a password to be verified as it came.
    """
    return unicodedata.normalize("NFC", password)


def _bytes(password: str) -> bytes:
    """Whatever a string holds, half a surrogate pair and NUL included: Argon2 takes bytes and a length."""
    return normal(password).encode("utf-8", "surrogatepass")


def _verify(password_hash: str, password: bytes) -> bool:
    try:
        return ARGON2ID.verify(password_hash, password)
    except InvalidHashError:
        log.warning("password_hash_unreadable")
        return password_hash is not STAND_IN and _verify(STAND_IN, password)
    except VerificationError:
        return False


def _stand_in() -> str:
    """A hash that no known password has: it costs nothing to make, and the same as any other to verify."""
    salt, digest = (
        b64encode(token_bytes(size)).decode().rstrip("=") for size in (ARGON2ID.salt_len, ARGON2ID.hash_len)
    )
    cost = f"m={ARGON2ID.memory_cost},t={ARGON2ID.time_cost},p={ARGON2ID.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${digest}"


STAND_IN = _stand_in()
