"""The private names of Hypercorn that we lean on: an upgrade that moves one fails here, not in production."""

from __future__ import annotations

import inspect
from importlib.metadata import version

import hypercorn.asyncio.run
import pytest
from hypercorn.asyncio.tcp_server import TCPServer

from app.server.engine import Connections, loop_factory, tracked


def test_hypercorn_is_the_version_that_was_read() -> None:
    assert version("hypercorn") == "0.18.0"


def test_the_connection_class_is_looked_up_where_we_replace_it() -> None:
    source = inspect.getsource(hypercorn.asyncio.run.worker_serve)

    assert vars(hypercorn.asyncio.run)["TCPServer"] is TCPServer
    assert "await TCPServer(app, loop, config, context, lifespan_state, reader, writer)" in source


def test_a_connection_runs_in_run_and_has_a_writer_to_abort() -> None:
    assert "self.run().__await__()" in inspect.getsource(TCPServer.__await__)
    assert list(inspect.signature(TCPServer.__init__).parameters)[-2:] == ["reader", "writer"]
    assert issubclass(tracked(Connections()), TCPServer)


def test_an_idle_connection_waits_in_the_method_we_replace() -> None:
    assert "self.idle_task.restart(task_group, self._idle_timeout)" in inspect.getsource(TCPServer.run)
    assert "self.idle_task.restart(self._task_group, self._idle_timeout)" in inspect.getsource(TCPServer.protocol_send)
    assert "self.context.terminated.wait(), self.config.keep_alive_timeout" in inspect.getsource(
        TCPServer._idle_timeout
    )
    assert inspect.iscoroutinefunction(TCPServer._initiate_server_close)


@pytest.mark.parametrize("choice", ["auto", "uvloop"])
def test_uvloop_is_taken_where_it_is_installed(choice: str) -> None:
    factory = loop_factory(choice)

    assert factory is not None
    assert factory.__module__ == "uvloop"


def test_asyncio_means_pythons_own_loop() -> None:
    assert loop_factory("asyncio") is None
