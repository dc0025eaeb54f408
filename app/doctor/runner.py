"""Runs every check at once, each within its deadline; one that crashes is a finding like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from app.core.settings import Secret
from app.doctor.checks import CHECKS, Check, name_of
from app.doctor.finding import Finding, Status, failed, warning
from app.doctor.patient import Patient

SHORT = 6  # a shorter secret is a word of the page by accident more often than a leak


async def examine(patient: Patient, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """One finding per check, in the order of the checks."""
    return list(await asyncio.gather(*(_examine(patient, check) for check in checks)))


def healthy(findings: Sequence[Finding]) -> bool:
    return not any(finding.status is Status.FAILED for finding in findings)


async def _examine(patient: Patient, check: Check) -> Finding:
    name = name_of(check)
    try:
        async with asyncio.timeout(patient.limits.check):
            finding = await check(patient)
    except TimeoutError:
        finding = warning(name, f"no result within {patient.limits.check:g} s", f"{patient.program} doctor   # again")
    except ModuleNotFoundError as error:
        finding = failed(name, f"the package {error.name} is not installed", "rm -f .venv/.installed && make install")
    except Exception as error:  # noqa: BLE001 - whatever a check did not foresee, the others are told all the same
        finding = failed(
            name,
            f"the check itself broke: {type(error).__name__}: {error}",
            f"{patient.program} doctor --json   # for a bug report",
        )
    return _masked(finding, patient.secrets)


def _masked(finding: Finding, secrets: Sequence[str]) -> Finding:
    """The last net: error messages of others may repeat what they were given."""
    for secret in secrets:
        if len(secret) >= SHORT:
            finding = replace(finding, seen=_without(finding.seen, secret), remedy=_without(finding.remedy, secret))
    return finding


def _without(text: str, secret: str) -> str:
    return text.replace(secret, str(Secret(secret)))
