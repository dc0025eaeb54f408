"""Hashes passwords beside the loop: on two threads, for so many people at once as can be answered in time."""

from __future__ import annotations

import unicodedata
from base64 import b64encode
from secrets import token_bytes

import structlog
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from app.core.resources import Resources
from app.features.identity.bounded_threads import BoundedThreads

log = structlog.get_logger(__name__)

# OWASP Password Storage Cheat Sheet: the least memory that it recommends, for some 20 ms of one core.
ARGON2ID = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1, hash_len=32, salt_len=16, type=Type.ID)
THREADS = 2  # the last who waits does so for some 0.2 s


class Hashing(BoundedThreads):
    """Passwords in and out of Argon2id; all but `is_outdated` may raise `HashingBusy`."""

    def __init__(self) -> None:
        super().__init__("hashing", THREADS)

    async def hash(self, password: str) -> str:
        """In PHC form, with a salt of its own."""
        return await self.run(ARGON2ID.hash, _bytes(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether it is the password; without a hash it never is, and that takes as long to find out."""
        return await self.run(_verify, password_hash or STAND_IN, _bytes(password))

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than those of today."""
        return ARGON2ID.check_needs_rehash(password_hash)


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
