"""Passwords into hashes and back, beside the loop, for a bounded number of people at once."""

from __future__ import annotations

import asyncio
import threading
import unicodedata
from collections.abc import AsyncIterator, Callable
from statistics import median
from time import perf_counter, process_time

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.features.identity.bounded_threads import WAITING
from app.features.identity.errors import HashingBusy
from app.features.identity.hashing import STAND_IN, THREADS, Hashing
from tests.features.identity.people import PASSWORD, PASSWORD_HASH
from tests.harness.waiting import eventually

ALL = THREADS + WAITING
STRANGE = ["", "\0", "a\0b", "\ud800", "\udfff\ud800", "x" * 1024, "\U0001f9a6" * 256, "\uffff", "e" + "\u0301" * 500]


@pytest.fixture
async def hashing() -> AsyncIterator[Hashing]:
    made = Hashing()
    yield made
    await made.close()


class Gate:
    """Work that ends when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.opened = threading.Event()

    def pass_through(self) -> str:
        self.begun += 1
        assert self.opened.wait(30)
        return "passed"


@pytest.fixture
async def gate(hashing: Hashing) -> AsyncIterator[Gate]:  # noqa: ARG001  (closed after the gate is opened)
    made = Gate()
    yield made
    made.opened.set()


async def test_a_hash_holds_argon2id_with_the_parameters_of_owasp(hashing: Hashing) -> None:
    first, second = await hashing.hash(PASSWORD), await hashing.hash(PASSWORD)

    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert await hashing.verify(first, PASSWORD)
    assert not await hashing.verify(first, PASSWORD + "x")


@pytest.mark.parametrize("password", STRANGE)
async def test_whatever_a_string_holds_can_be_hashed(hashing: Hashing, password: str) -> None:
    hashed = await hashing.hash(password)

    assert await hashing.verify(hashed, password)
    # Cut at the NUL, or with what can't be encoded left out, these would be the same.
    assert not await hashing.verify(hashed, password[:1] if len(password) > 1 else password + "\0")


@pytest.mark.parametrize(
    ("typed", "same"), [("caf\u00e9", "cafe\u0301"), ("\u212b", "\u00c5"), ("\uac00", "\u1100\u1161")]
)
async def test_a_keyboard_that_composes_otherwise_types_the_same_password(
    hashing: Hashing, typed: str, same: str
) -> None:
    hashed = await hashing.hash(typed)

    assert typed != same
    assert await hashing.verify(hashed, same)


@pytest.mark.parametrize(
    ("typed", "other"), [("x\u00b2", "x2"), ("Otter", "otter"), ("otter", "otter "), ("\ufb01", "fi")]
)
async def test_what_looks_different_is_different(hashing: Hashing, typed: str, other: str) -> None:
    hashed = await hashing.hash(typed)

    assert not await hashing.verify(hashed, other)


async def test_a_hash_of_other_parameters_is_verified_and_outdated(hashing: Hashing) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)

    assert await hashing.verify(weak, PASSWORD)
    assert hashing.is_outdated(weak)
    assert not hashing.is_outdated(PASSWORD_HASH)


@pytest.mark.parametrize("stored", [None, "", "!", "$argon2id$v=19$broken", "$2b$12$" + "x" * 53])
async def test_without_a_hash_that_can_be_read_no_password_is_right(hashing: Hashing, stored: str | None) -> None:
    for password in (PASSWORD, "", "!"):
        assert not await hashing.verify(stored, password)


def test_the_hash_of_nobody_costs_as_much_as_one_of_somebody() -> None:
    assert extract_parameters(STAND_IN) == extract_parameters(PASSWORD_HASH)


@pytest.mark.alone
async def test_nobody_is_verified_in_the_same_time_as_somebody(hashing: Hashing, figure: Callable[[str], None]) -> None:
    """On the clock, and on the processor, which tells a difference of ours from one that a neighbour makes."""
    hashes = {"somebody": PASSWORD_HASH, "nobody": None, "unreadable": "!"}
    clock: dict[str, list[float]] = {name: [] for name in hashes}
    processor: dict[str, list[float]] = {name: [] for name in hashes}

    for turn in range(60):
        for name, stored in sorted(hashes.items(), reverse=turn % 2 == 1):
            began, worked = perf_counter(), process_time()
            await hashing.verify(stored, "a wrong password")
            clock[name].append(perf_counter() - began)
            processor[name].append(process_time() - worked)

    for kind, took in (("processor", processor), ("clock", clock)):
        medians = {name: median(each) for name, each in took.items()}
        told = ", ".join(f"{name} {each * 1000:.1f} ms" for name, each in medians.items())
        figure(f"verify, median of 60 on the {kind}: {told}")
        # 5 % or 2 ms is what the issue allows; without the stand-in the difference would be all of some 20 ms.
        allowed = max(0.002, 0.05 * medians["somebody"])
        assert abs(medians["nobody"] - medians["somebody"]) <= allowed
        assert abs(medians["unreadable"] - medians["somebody"]) <= allowed


async def test_who_comes_when_all_places_are_taken_is_told_at_once(hashing: Hashing, gate: Gate) -> None:
    inside = [asyncio.create_task(hashing.run(gate.pass_through)) for _ in range(ALL)]
    await eventually(lambda: gate.begun == THREADS, within=10)

    with pytest.raises(HashingBusy) as refused:
        async with asyncio.timeout(10):
            await hashing.verify(PASSWORD_HASH, PASSWORD)
    gate.opened.set()
    passed = await asyncio.gather(*inside)

    assert refused.value.retry_after == 1
    assert refused.value.status == 503
    assert passed == ["passed"] * ALL
    assert await hashing.verify(PASSWORD_HASH, PASSWORD)


async def test_no_more_than_the_threads_run_at_once(hashing: Hashing, gate: Gate) -> None:
    waiting = [asyncio.create_task(hashing.run(gate.pass_through)) for _ in range(ALL)]
    await eventually(lambda: gate.begun == THREADS, within=10)

    assert len([thread for thread in threading.enumerate() if thread.name.startswith("hashing")]) >= THREADS
    assert gate.begun == THREADS
    gate.opened.set()
    await asyncio.gather(*waiting)


async def test_who_goes_while_waiting_gives_the_place_back_at_once(hashing: Hashing, gate: Gate) -> None:
    inside = [asyncio.create_task(hashing.run(gate.pass_through)) for _ in range(ALL)]
    await eventually(lambda: gate.begun == THREADS, within=10)

    for task in inside[THREADS:]:
        task.cancel()
    await asyncio.gather(*inside[THREADS:], return_exceptions=True)
    others = [asyncio.create_task(hashing.run(gate.pass_through)) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(HashingBusy):
        await hashing.run(gate.pass_through)
    gate.opened.set()

    assert await asyncio.gather(*others) == ["passed"] * WAITING
    assert gate.begun == ALL, "what nobody waits for was done all the same"


async def test_who_goes_while_it_is_being_hashed_keeps_the_place_until_it_ends(hashing: Hashing, gate: Gate) -> None:
    inside = [asyncio.create_task(hashing.run(gate.pass_through)) for _ in range(ALL)]
    await eventually(lambda: gate.begun == THREADS, within=10)

    for task in inside[:THREADS]:
        task.cancel()
    await asyncio.gather(*inside[:THREADS], return_exceptions=True)
    # Given back now, places would be taken that no thread is free for: the queue would grow with each who goes.
    with pytest.raises(HashingBusy):
        await hashing.run(gate.pass_through)
    gate.opened.set()
    await asyncio.gather(*inside[THREADS:])
    await eventually(lambda: hashing._places._value == ALL, within=10)  # one thread may have done all that waited

    again = [asyncio.create_task(hashing.run(gate.pass_through)) for _ in range(ALL)]
    assert await asyncio.gather(*again) == ["passed"] * ALL


async def test_what_fails_gives_its_place_back_too(hashing: Hashing) -> None:
    def fail() -> None:
        raise LookupError

    for _ in range(3 * ALL):
        with pytest.raises(LookupError):
            await hashing.run(fail)


async def test_closing_waits_for_what_has_begun_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    hashing = Hashing()
    begun = [asyncio.create_task(hashing.hash(PASSWORD)) for _ in range(ALL)]
    await asyncio.sleep(0)

    await hashing.close()
    ends = await asyncio.gather(*begun, return_exceptions=True)

    assert all(isinstance(end, str | asyncio.CancelledError) for end in ends)
    left = [each for each in set(threading.enumerate()) - before if each.name.startswith("hashing")]
    assert not left


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(password=st.text(max_size=40), other=st.text(max_size=40))
async def test_one_password_opens_its_hash_and_no_other(hashing: Hashing, password: str, other: str) -> None:
    hashed = await hashing.hash(password)

    assert await hashing.verify(hashed, password)
    same = unicodedata.normalize("NFC", password) == unicodedata.normalize("NFC", other)
    assert await hashing.verify(hashed, other) is same
