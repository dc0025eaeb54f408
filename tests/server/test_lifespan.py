"""What an application does before its server serves and after it, whichever engine tells it."""

from __future__ import annotations

import asyncio
import os

import pytest

from app.core.settings.sections.server import HttpEngine
from app.server.engine import Connections, engine_of
from app.server.listener import open_listener
from app.web import Application
from tests.web import conftest as web
from tests.web.conftest import Serving

application, serving = web.application, web.serving


@pytest.mark.engines
async def test_the_application_begins_and_ends_with_the_server(application: Application, serving: Serving) -> None:
    steps: list[str] = []
    application.before_serving(lambda: steps.append("begun"))
    application.after_serving(lambda: steps.append("ended"))

    async with serving(application):
        steps.append("serving")

    assert steps == ["begun", "serving", "ended"]


@pytest.mark.engines
async def test_an_application_that_does_not_begin_is_an_error_and_no_exit(
    application: Application, engine: HttpEngine
) -> None:
    @application.before_serving
    async def fail() -> None:
        raise RuntimeError("on purpose")

    with open_listener("127.0.0.1", 0, backlog=1) as listener, pytest.raises(Exception, match=r"(?i)lifespan"):
        await engine_of(engine)(
            application,
            os.dup(listener.fileno()),
            backlog=1,
            keep_alive=1,
            connections=Connections(),
            shutdown_trigger=asyncio.Event().wait,  # type: ignore[arg-type]  # nobody asks what it returns
            last_resort=1,
        )
