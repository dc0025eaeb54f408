"""Asks a running server for every operation of identity, with data that fits and data that does not, as one caller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.harness.app_process import AppProcess

PLACES = ("/api/v1/auth/", "/api/v1/sessions", "/api/v1/api-keys", "/api/v1/users")
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
HEALTH = list(HealthCheck)
NOBODY = "00000000-0000-7000-8000-000000000000"
Headers = Mapping[str, str]


@dataclass(frozen=True)
class Heard:
    """One answer: to which operation, with which status, and all of its text, headers included."""

    method: str
    path: str
    status: int
    text: str


@dataclass
class Fuzzer:
    """`sign_in` gives new credentials, at first and whenever the last ones have ended.

    Made-up data meet nothing that is there. So `ids` are put into every other path that takes one, by the name of the
    parameter, once one that nobody has; and `bodies` replace two of four bodies of an operation, by its name
    (`POST /api/v1/api-keys`).
    """

    app: AppProcess
    document: Mapping[str, Any]
    sign_in: Callable[[], Headers]
    ids: Mapping[str, Sequence[str]]
    bodies: Mapping[str, Any]
    examples: int
    heard: list[Heard] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._headers = self.sign_in()
        self._ids = {name: cycle(ids) for name, ids in self.ids.items()}

    async def run(self) -> None:
        """In a thread, while this loop reads the server's log."""
        await asyncio.to_thread(self._run)

    def _run(self) -> None:
        for found in schemathesis.openapi.from_dict(dict(self.document)).get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            if operation.path.startswith(PLACES):
                for mode in GenerationMode:
                    self._fuzz(operation, mode)

    def _fuzz(self, operation: Any, mode: GenerationMode) -> None:
        """Where an operation takes nothing, there is nothing that does not fit."""
        takes_nothing = not (operation.path_parameters or operation.query or operation.body)
        if mode is GenerationMode.NEGATIVE and takes_nothing:
            return
        turn, cases = count(), []

        @given(operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=1 if takes_nothing else self.examples,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=HEALTH,
        )
        def ask(case: Case[Any]) -> None:
            number = next(turn)
            cases.append(case)
            self._ask(case, with_id=number % 2 == 0, with_body=number % 4 < 2)

        ask()
        if operation.path_parameters and mode is GenerationMode.POSITIVE:
            cases[-1].path_parameters = dict.fromkeys(cases[-1].path_parameters, NOBODY)
            self._ask(cases[-1], with_id=False, with_body=True)
        if operation.query and mode is GenerationMode.NEGATIVE:
            cases[-1].query = {"limit": "0"}
            self._ask(cases[-1], with_id=True, with_body=True)

    def _ask(self, case: Case[Any], *, with_id: bool, with_body: bool) -> None:
        name = f"{case.method} {case.path}"
        # Credentials that do not fit have tests of their own; with them, nothing that is behind would be reached.
        case.headers.clear()
        case.cookies.clear()
        if case.path_parameters and with_id:
            case.path_parameters = {each: next(self._ids[each]) for each in case.path_parameters}
        if name in self.bodies and with_body:
            case.body = self.bodies[name]
        answer = case.call(base_url=self.app.url, headers=dict(self._headers), timeout=60)
        head = "\n".join(f"{each}: {value}" for each, value in answer.headers.items())
        text = f"{head}\n\n{answer.content.decode('utf-8', 'replace')}"
        self.heard.append(Heard(case.method, case.path, answer.status_code, text))
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Failure, FailureGroup) as error:
            self.wrong.append(f"{name}: {error}")
        if answer.status_code == 401 or (case.path.endswith("/logout") and answer.status_code == 204):
            self._headers = self.sign_in()
