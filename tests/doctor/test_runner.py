"""The runner: what a check does wrong is a finding, never a traceback, and never a wait."""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from dataclasses import replace
from functools import partial

import pytest

from app.doctor import CHECKS, Finding, Limits, Patient, Status, examine, name_of
from app.doctor.finding import ok
from app.doctor.once import Once, in_thread
from tests.doctor.project import Project, can_be_typed

SOON = Limits(check=0.2)


async def crash(patient: Patient) -> Finding:
    raise ValueError(f"root is {patient.root.name}")


async def hang(patient: Patient) -> Finding:
    await asyncio.Event().wait()
    return ok("hang", f"never reached by {patient}")


async def block(patient: Patient) -> Finding:
    """As a look at a dead network drive."""
    await in_thread(threading.Event().wait)
    return ok("block", f"never reached by {patient}")


async def lack_a_package(patient: Patient) -> Finding:
    importlib.import_module("a_package_that_is_missing")
    return ok("lack-a-package", f"never reached by {patient}")


async def one_of(everyone: asyncio.Barrier, patient: Patient) -> Finding:
    """Done when all the others have begun, too."""
    await everyone.wait()
    return ok("one-of", f"together with {everyone.parties} in {patient.root.name}")


async def leak(patient: Patient) -> Finding:
    assert patient.settings is not None
    return ok("leak", f"the password is {patient.settings.database.password.reveal()}")


async def test_crash_is_a_finding(project: Project) -> None:
    finding = await project.finding(crash)

    assert finding.status is Status.FAILED
    assert finding.seen == "the check itself broke: ValueError: root is project"


@pytest.mark.parametrize("check", [hang, block])
async def test_check_without_a_result_is_given_up_at_its_deadline(project: Project, check: type) -> None:
    patient = replace(project, limits=SOON).patient()
    began = time.monotonic()

    [finding] = await examine(patient, [check])
    took = time.monotonic() - began

    assert finding.status is Status.WARNING
    assert finding.seen == "no result within 0.2 s"
    assert took < 2
    can_be_typed(finding)


async def test_missing_package_sends_to_make_install(project: Project) -> None:
    finding = await project.finding(lack_a_package)

    assert finding.status is Status.FAILED
    assert finding.seen == "the package a_package_that_is_missing is not installed"
    assert finding.remedy == "rm -f .venv/.installed && make install"


async def test_secret_is_masked_whoever_says_it(project: Project) -> None:
    finding = await project.finding(leak, "database.password=canary-4711")

    assert finding.seen == "the password is **********"


async def test_checks_run_at_the_same_time(project: Project) -> None:
    findings = await examine(project.patient(), [partial(one_of, asyncio.Barrier(20))] * 20)

    assert [finding.status for finding in findings] == [Status.OK] * 20


async def test_every_finding_carries_its_check_s_name(project: Project) -> None:
    findings = await examine(project.patient())

    assert [finding.check for finding in findings] == [name_of(check) for check in CHECKS]
    assert "broke" not in "".join(finding.seen for finding in findings)


async def test_question_is_put_once_and_again_only_after_it_was_broken_off() -> None:
    asked: list[str] = []
    begun = asyncio.Event()

    async def ask() -> int:
        asked.append("once")
        begun.set()
        if len(asked) == 1:
            await asyncio.Event().wait()
        return len(asked)

    once = Once(ask)
    first = asyncio.create_task(once())
    others = [asyncio.create_task(once()) for _ in range(3)]
    await begun.wait()
    first.cancel()

    assert await asyncio.gather(*others) == [2, 2, 2]
    assert len(asked) == 2


async def test_error_in_a_thread_reaches_the_one_who_waits() -> None:
    def fail() -> None:
        raise OSError("no such drive")

    with pytest.raises(OSError, match="no such drive"):
        await in_thread(fail)
