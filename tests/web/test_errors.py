"""Every error leaves in one body, and says nothing that belongs in the log only."""

from __future__ import annotations

import asyncio

import pytest
from quart import Response, abort, request
from structlog.testing import capture_logs

from app.core.errors import AppError, BadRequest, Conflict, NotFound, ServiceUnavailable
from app.web import Application
from app.web.errors import WrongProtocol
from app.web.json import OrjsonProvider
from tests.web.conftest import Serving

pytestmark = pytest.mark.engines

CANARY = "canary-7f3a"


class EmailTaken(Conflict):
    """That e-mail address is already registered."""


async def test_an_unknown_address_is_404_in_our_body(application: Application, serving: Serving) -> None:
    async with serving(application) as client:
        answer = await client.get("/nowhere")

    assert answer.status_code == 404
    assert answer.json() == {"error": "There is nothing at this address.", "code": "NOT_FOUND"}
    assert answer.headers["content-type"] == "application/json"


async def test_a_wrong_method_is_405_and_keeps_allow(application: Application, serving: Serving) -> None:
    @application.get("/only-get")
    async def only_get() -> str:
        return "here"

    async with serving(application) as client:
        answer = await client.post("/only-get")

    assert answer.status_code == 405
    assert answer.json() == {"error": "This address does not answer to that method.", "code": "METHOD_NOT_ALLOWED"}
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (BadRequest("Name is missing."), 400, {"error": "Name is missing.", "code": "BAD_REQUEST"}),
        (NotFound(), 404, {"error": "There is nothing at this address.", "code": "NOT_FOUND"}),
        (EmailTaken(), 409, {"error": "That e-mail address is already registered.", "code": "CONFLICT"}),
        (
            Conflict("Taken.", details={"email": ["is taken"]}),
            409,
            {"error": "Taken.", "code": "CONFLICT", "details": {"email": ["is taken"]}},
        ),
    ],
)
async def test_an_error_of_ours_has_its_kind_and_its_sentence(
    application: Application, serving: Serving, error: AppError, status: int, body: dict[str, object]
) -> None:
    @application.get("/")
    async def fail() -> Response:
        raise error

    async with serving(application) as client:
        answer = await client.get("/")

    assert (answer.status_code, answer.json()) == (status, body)


async def test_unavailable_says_when_to_come_back(application: Application, serving: Serving) -> None:
    @application.get("/")
    async def fail() -> Response:
        raise ServiceUnavailable(retry_after=7)

    async with serving(application) as client:
        answer = await client.get("/")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


async def test_what_the_framework_raises_itself_has_our_body(application: Application, serving: Serving) -> None:
    @application.get("/<int:status>")
    async def fail(status: int) -> Response:
        abort(status)

    async with serving(application) as client:
        answers = {status: await client.get(f"/{status}") for status in (400, 404, 500)}

    assert {status: answer.json()["code"] for status, answer in answers.items()} == {
        400: "BAD_REQUEST",
        404: "NOT_FOUND",
        500: "INTERNAL_ERROR",
    }
    assert all(answer.status_code == status for status, answer in answers.items())


@pytest.mark.parametrize(
    "panic", [RuntimeError(CANARY), SystemExit(CANARY), KeyboardInterrupt(CANARY), GeneratorExit(CANARY)]
)
async def test_a_panic_is_one_500_and_the_server_lives(
    application: Application, serving: Serving, panic: BaseException
) -> None:
    @application.get("/panic")
    async def fail() -> Response:
        raise panic

    @application.get("/fine")
    async def fine() -> str:
        return "fine"

    with capture_logs() as logs:
        async with serving(application) as client:
            answer = await client.get("/panic")
            after = await client.get("/fine")

    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "Something went wrong on our side.", "code": "PANIC"},
    )
    assert CANARY not in answer.text
    assert after.text == "fine"
    (panicked,) = [line for line in logs if line["event"] == "panic"]
    assert panicked["exc_info"] is panic


async def test_a_request_for_a_websocket_is_told_what_is_wrong(application: Application, serving: Serving) -> None:
    @application.websocket("/socket")
    async def socket() -> None: ...

    async with serving(application) as client:
        answer = await client.get("/socket")

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")
    assert answer.json()["error"] == WrongProtocol.__doc__


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_not_json_is_400(application: Application, serving: Serving, body: bytes) -> None:
    application.json = OrjsonProvider(application)

    @application.post("/")
    async def read() -> dict[str, object]:
        return {"read": await request.get_json()}

    application.request_timeout = 30
    async with serving(application) as client:
        answer = await client.post("/", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("returned", [None, {"unknown": object()}, 7])
async def test_an_answer_that_cannot_be_made_is_a_panic(
    application: Application, serving: Serving, returned: object
) -> None:
    @application.get("/")  # type: ignore[type-var]  # what the types would have refused
    async def fail() -> object:
        return returned

    with capture_logs() as logs:
        async with serving(application) as client:
            answer = await client.get("/")

    assert (answer.status_code, answer.json()["code"]) == (500, "PANIC")
    assert [line["event"] for line in logs] == ["panic"]


async def test_a_stray_cancellation_is_a_panic_with_a_body(application: Application, serving: Serving) -> None:
    @application.get("/")
    async def fail() -> Response:
        raise asyncio.CancelledError

    with capture_logs() as logs:
        async with serving(application) as client:
            answer = await client.get("/")

    assert (answer.status_code, answer.json()["code"]) == (500, "PANIC")
    assert [line["event"] for line in logs] == ["panic"]


async def test_an_overlong_handler_is_cancelled_and_answered_once(application: Application, serving: Serving) -> None:
    ended = asyncio.Event()

    @application.get("/slow")
    async def slow() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    async with serving(application) as client:
        answer = await client.get("/slow")
        again = await client.get("/nowhere")

    assert (answer.status_code, answer.json()["code"]) == (408, "REQUEST_TIMEOUT")
    assert ended.is_set()
    assert again.status_code == 404  # a second response on the connection would have answered this one


async def test_a_timeout_of_the_handlers_own_is_not_the_requests(application: Application, serving: Serving) -> None:
    @application.get("/")
    async def fail() -> Response:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
        return Response("never")

    application.request_timeout = 30
    async with serving(application) as client:
        answer = await client.get("/")

    assert answer.status_code != 408
