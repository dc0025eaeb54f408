"""What we lean on of uvicorn, httptools and llhttp beyond their documentation: an upgrade that moves it fails here."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.lifespan.on import LifespanOn
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.server.on_uvicorn.cycle import Cycle
from app.server.on_uvicorn.engine import EngineServer
from app.server.on_uvicorn.outlet import Outlet
from app.server.on_uvicorn.protocol import StrictProtocol
from app.server.on_uvicorn.request import RequestReader


def test_the_libraries_are_the_versions_that_were_read() -> None:
    assert (version("uvicorn"), version("httptools")) == ("0.54.0", "0.9.0")


def test_a_connection_is_made_of_the_class_in_the_configuration() -> None:
    startup = inspect.getsource(uvicorn.Server.startup)

    assert "return config.http_protocol_class(" in startup
    assert all(f"{name}=" in startup for name in ("config", "server_state", "app_state", "_loop"))
    assert "self.http_protocol_class = self.http\n" in inspect.getsource(uvicorn.Config.load)


def test_what_is_left_of_uvicorns_protocol_does_not_parse() -> None:
    ours = {**vars(RequestReader), **vars(StrictProtocol)}
    theirs = {name for name, value in vars(HttpToolsProtocol).items() if inspect.isfunction(value)} - set(ours)

    assert theirs - {"pause_writing", "resume_writing", "_unset_keepalive_if_required"} == {
        # Called by methods that ours replace, and by nothing else.
        *("_get_upgrade", "_should_upgrade", "_should_upgrade_to_ws", "_start_asgi_task"),
        *(
            "_unsupported_upgrade_warning",
            "handle_websocket_upgrade",
            "send_400_response",
            "timeout_keep_alive_handler",
        ),
    }
    for method in ("__init__", "connection_made", "connection_lost", "pause_writing", "resume_writing"):
        called = set(re.findall(r"self\.(_?\w+)\(", inspect.getsource(getattr(HttpToolsProtocol, method))))
        assert called <= {"_unset_keepalive_if_required"}


def test_a_lost_connection_tells_its_cycle_and_lets_its_parser_go() -> None:
    lost = inspect.getsource(HttpToolsProtocol.connection_lost)

    assert "self.connections.discard(self)" in lost
    assert "self.cycle.disconnected = True" in lost
    assert "self.cycle.message_event.set()" in lost
    assert "self.flow.resume_writing()" in lost
    assert "self.parser = None" in lost


def test_a_cycle_uses_of_its_transport_what_our_outlet_has() -> None:
    source = inspect.getsource(RequestResponseCycle)

    assert set(re.findall(r"self\.transport\.(\w+)", source)) == {"write", "close", "is_closing"}
    assert {"write", "close", "is_closing"} <= set(dir(Outlet))


def test_a_cycle_says_that_it_is_over_after_it_has_closed() -> None:
    send = inspect.getsource(RequestResponseCycle.send)

    assert send.index("self.transport.close()") < send.index("self.on_response()")
    assert "if self.flow.write_paused and not self.disconnected:\n            await self.flow.drain()" in send
    assert "if self.disconnected:\n            return" in send


def test_a_cycle_writes_a_head_at_once_when_it_is_sound() -> None:
    """So that after an exception nothing was written."""
    head = inspect.getsource(RequestResponseCycle.send).split("elif not self.response_complete")[0]

    assert head.count("self.transport.write(") == 1
    assert head.index('raise RuntimeError("Invalid HTTP header value.")') < head.index("self.transport.write(")
    assert set(vars(Cycle)) & {"run_asgi", "send", "send_500_response"} == {"run_asgi", "send", "send_500_response"}
    assert "await self.send_500_response()" in inspect.getsource(RequestResponseCycle.run_asgi)


def test_reading_goes_on_when_the_application_asks_for_more() -> None:
    receive = inspect.getsource(RequestResponseCycle.receive)

    assert "self.flow.resume_reading()\n            await self.message_event.wait()" in receive
    assert {"pause_reading", "resume_reading", "resume_writing", "drain"} <= set(vars(FlowControl))


def test_the_server_stops_where_we_tell_it_to() -> None:
    assert "with self.capture_signals():" in inspect.getsource(uvicorn.Server.serve)
    assert "await self.main_loop()" in inspect.getsource(uvicorn.Server._serve)
    assert "if self.should_exit:\n            return True" in inspect.getsource(uvicorn.Server.on_tick)
    shutdown = inspect.getsource(uvicorn.Server.shutdown)
    assert shutdown.index("sock.close()") < shutdown.index("connection.shutdown()")
    assert "while self.server_state.connections" in inspect.getsource(uvicorn.Server._wait_tasks_to_complete)
    assert {"capture_signals", "main_loop", "shutdown"} <= set(vars(EngineServer))


def test_an_application_that_does_not_start_ends_the_server_by_an_exit() -> None:
    assert "sys.exit(STARTUP_FAILURE)" in inspect.getsource(uvicorn.Server.startup)
    assert "self.should_exit = True" in inspect.getsource(LifespanOn.startup)


def test_answers_begin_with_the_lines_we_share() -> None:
    assert httptools_impl.STATUS_LINE[431] == b"HTTP/1.1 431 Request Header Fields Too Large\r\n"


class Heard:
    """What llhttp calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.parser = httptools.HttpRequestParser(self)
        self.persists: bool | None = None

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *told: self.calls.append(" ".join([name, *(each.decode() for each in told)]))

    def on_headers_complete(self) -> None:
        self.persists = self.parser.should_keep_alive()
        self.calls.append("on_headers_complete")


HEAD = b"GET / HTTP/1.1\r\nHost: test\r\n%b\r\n"


def test_llhttp_calls_while_it_is_fed_and_a_trailer_looks_like_a_header() -> None:
    heard = Heard()

    heard.parser.feed_data(HEAD % b"Transfer-Encoding: chunked\r\n")
    assert heard.calls[-1] == "on_headers_complete"
    heard.parser.feed_data(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n")
    assert "on_message_complete" not in heard.calls
    heard.parser.feed_data(b"\r\n")

    assert heard.persists
    assert heard.calls[heard.calls.index("on_headers_complete") + 1 :] == [
        *("on_chunk_header", "on_body hello", "on_chunk_complete", "on_chunk_header", "on_header X-Sum 1"),
        *("on_chunk_complete", "on_message_complete"),
    ]


@pytest.mark.parametrize("line", [b"", b"Content-Length: 0\r\n"])
def test_a_head_without_a_body_is_a_whole_message(line: bytes) -> None:
    heard = Heard()

    heard.parser.feed_data(HEAD % line)

    assert heard.calls[-2:] == ["on_headers_complete", "on_message_complete"]


STRICT = {
    "a bare line feed": b"X-Odd: one\nX-Other: two\r\n",
    "a bare carriage return": b"X-Odd: one\rX-Other: two\r\n",
    "a NUL": b"X-Odd: \0\r\n",
    "a space before the colon": b"X-Odd : one\r\n",
    "a length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "a length that is none": b"Content-Length: +5\r\n",
    "a coding that is not the last": b"Transfer-Encoding: chunked, gzip\r\n",
}


@pytest.mark.parametrize("lines", STRICT.values(), ids=STRICT)
def test_llhttp_is_strict_where_we_leave_it_to_it(lines: bytes) -> None:
    with pytest.raises(httptools.HttpParserError):
        Heard().parser.feed_data(HEAD % lines)


def test_control_llhttp_takes_what_follows_an_upgrade_for_another_protocol() -> None:
    heard = Heard()

    with pytest.raises(httptools.HttpParserUpgrade):
        heard.parser.feed_data(HEAD % b"Connection: Upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n" + b"hello")

    assert "on_body hello" not in heard.calls


def test_control_llhttp_knows_its_own_methods_only() -> None:
    with pytest.raises(httptools.HttpParserInvalidMethodError):
        Heard().parser.feed_data(HEAD.replace(b"GET", b"BREW") % b"")
