"""A probe keeps its own deadline, never runs twice at once, and is quick to notice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from app.core.probe import Probe
from tests.core.running import running
from tests.harness.clock import FakeClock
from tests.harness.waiting import eventually


class Service:
    """Answers, fails, or hangs, as told; counts who asks, and how many at once."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._free = asyncio.Event()
        self.hang = False
        self.deaf = False
        self.asked = self.inside = self.most = 0

    @property
    def hang(self) -> bool:
        return not self._free.is_set()

    @hang.setter
    def hang(self, hangs: bool) -> None:
        if hangs:
            self._free.clear()
        else:
            self._free.set()

    async def check(self) -> None:
        self.asked += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self.answer()
        finally:
            self.inside -= 1

    async def answer(self) -> None:
        while self.hang:
            try:
                await self._free.wait()
            except asyncio.CancelledError:
                if not self.deaf:
                    raise
        if self.error:
            raise self.error


def probe_of(check: Callable[[], Awaitable[None]], *, interval: float = 0.02, timeout: float = 0.05) -> Probe:
    return Probe("service", check, interval=interval, timeout=timeout)


def test_nothing_is_well_before_the_first_answer() -> None:
    probe = Probe("service", Service().check, interval=1, timeout=1, clock=FakeClock())

    assert not probe.result.ok
    assert probe.result.reason == "not checked yet"


async def test_an_answer_is_kept_with_its_time() -> None:
    clock = FakeClock()
    probe = Probe("service", Service().check, interval=1, timeout=1, clock=clock)
    clock.advance(7)

    result = await probe.check_once()

    assert result is probe.result
    assert (result.ok, result.reason, result.checked_at) == (True, "", clock.now())


async def test_a_failure_gives_the_first_line_of_its_reason() -> None:
    service = Service()
    service.error = OSError("refused\nand more")

    result = await probe_of(service.check).check_once()

    assert (result.ok, result.reason) == (False, "refused")


async def test_a_failure_without_words_gives_its_name() -> None:
    service = Service()
    service.error = ConnectionResetError()

    assert (await probe_of(service.check).check_once()).reason == "ConnectionResetError"


async def test_a_hanging_check_ends_at_the_deadline_and_the_next_one_is_real() -> None:
    service = Service()
    service.hang = True
    probe = probe_of(service.check)

    assert (await probe.check_once()).reason == "no answer within 0.05 s"
    service.hang = False
    await eventually(lambda: service.inside == 0, within=10)

    assert (await probe.check_once()).ok
    assert service.asked == 2


async def test_a_check_deaf_to_cancellation_is_never_joined_by_a_second_one() -> None:
    service = Service()
    service.hang = service.deaf = True
    probe = probe_of(service.check)
    async with running(probe):
        await eventually(lambda: probe.result.reason.startswith("no answer"), within=10)
        first = probe.result
        await eventually(lambda: probe.result is not first, within=10)

        assert service.asked == 1
        assert not probe.result.ok
        service.hang = False
        await eventually(lambda: probe.result.ok, within=10)

    assert service.most == 1


async def test_a_poke_has_the_check_run_at_once() -> None:
    service = Service()
    probe = probe_of(service.check, interval=4.0)
    async with running(probe):
        await eventually(lambda: probe.result.ok, within=10)
        service.error = OSError("gone")

        probe.poke()

        await eventually(lambda: not probe.result.ok, within=3)


async def test_pokes_by_the_thousand_do_not_add_up() -> None:
    service = Service()
    probe = probe_of(service.check, interval=4.0)
    async with running(probe):
        await eventually(lambda: probe.result.ok, within=10)
        for _ in range(1000):
            probe.poke()
        await eventually(lambda: service.asked == 2, within=3)
        service.error = OSError("gone")
        probe.poke()
        await eventually(lambda: not probe.result.ok, within=3)
        probe.poke()

        assert not probe._poked.is_set()
    assert service.asked <= 4


class Resting(Probe):
    """Tells when it rests."""

    def __init__(self, service: Service) -> None:
        super().__init__("service", service.check, interval=60, timeout=1)
        self.rests = asyncio.Event()

    async def _rest(self) -> None:
        self.rests.set()
        await super()._rest()


async def test_what_was_asked_just_before_is_not_asked_again() -> None:
    service = Service()
    probe = Resting(service)
    await probe.check_once()
    async with running(probe):
        await probe.rests.wait()

        assert service.asked == 1


async def test_the_end_of_a_probe_closes_what_it_used() -> None:
    closed = asyncio.Event()
    service = Service()
    service.hang = True
    probe = Probe("service", service.check, interval=1, timeout=1, close=closed.set)
    async with running(probe):
        await eventually(lambda: service.inside, within=10)

    assert closed.is_set()
    assert service.inside == 0
