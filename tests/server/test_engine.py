"""The private names of Hypercorn that we lean on: an upgrade that moves one fails here, not in production."""

from __future__ import annotations

import inspect
import re
from importlib.metadata import version

import h11
import h11._readers
import hypercorn.asyncio.run
import hypercorn.protocol
import hypercorn.protocol.h11
import hypercorn.protocol.ws_stream
import pytest
from h11._receivebuffer import ReceiveBuffer
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup, _handle
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import Handshake, WSStream
from hypercorn.utils import raise_shutdown
from quart import Quart
from quart.asgi import ASGIWebsocketConnection
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection
from wsproto.frame_protocol import FrameProtocol

from app.server.engine import Connections, loop_factory
from app.server.handshake import Handshake as OurHandshake
from app.server.messages import end_frames
from app.server.on_hypercorn.config import EngineConfig
from app.server.on_hypercorn.engine import tracked
from app.server.on_hypercorn.protocol import StrictConnection, StrictLines
from app.server.on_hypercorn.upgraded import PASSED, UPGRADED
from tests.harness.waiting import eventually
from tests.server.raw_socket import frame


def test_the_libraries_are_the_versions_that_were_read() -> None:
    assert (version("hypercorn"), version("h11")) == ("0.18.0", "0.16.0")
    assert (version("quart"), version("wsproto")) == ("0.22.0", "1.3.2")


def test_the_connection_class_is_looked_up_where_we_replace_it() -> None:
    source = inspect.getsource(hypercorn.asyncio.run.worker_serve)

    assert vars(hypercorn.asyncio.run)["TCPServer"] is TCPServer
    assert "await TCPServer(app, loop, config, context, lifespan_state, reader, writer)" in source


def test_a_connection_runs_in_run_and_has_a_writer_to_abort() -> None:
    assert "self.run().__await__()" in inspect.getsource(TCPServer.__await__)
    assert list(inspect.signature(TCPServer.__init__).parameters)[-2:] == ["reader", "writer"]
    assert issubclass(tracked(Connections()), TCPServer)


def test_an_idle_connection_waits_in_a_task_we_replace() -> None:
    source = inspect.getsource(TCPServer)

    assert "self.idle_task.restart(task_group, self._idle_timeout)" in inspect.getsource(TCPServer.run)
    assert "await self._read_data()" in inspect.getsource(TCPServer.run)
    assert set(re.findall(r"self\.idle_task\.(\w+)", source)) == {"restart", "stop"}
    assert "await self.protocol.handle(Closed())\n        self.writer.close()" in inspect.getsource(
        TCPServer._initiate_server_close
    )


def test_what_is_written_and_when_a_connection_is_idle_goes_through_the_method_we_replace() -> None:
    send = inspect.getsource(TCPServer.protocol_send)

    assert set(re.findall(r"isinstance\(event, (\w+)\)", send)) == {"RawData", "Closed", "Updated"}
    assert "self.writer.write(event.data)\n                    await self.writer.drain()" in send
    assert "self.writer.write(" not in inspect.getsource(TCPServer).replace(send, "")
    assert "self.protocol_send," in inspect.getsource(TCPServer.run)


def test_the_server_stops_when_its_trigger_comes_back() -> None:
    assert "await shutdown_event()\n    raise ShutdownError()" in inspect.getsource(raise_shutdown)
    assert "task_group.create_task(raise_shutdown(shutdown_trigger))" in inspect.getsource(
        hypercorn.asyncio.run.worker_serve
    )


async def test_the_headers_of_every_answer_are_the_date_which_moves_on() -> None:
    config = EngineConfig()
    config.include_server_header = False

    [(name, date)] = config.response_headers("h11")

    assert name == b"date"
    await eventually(lambda: config.response_headers("h11") != [(b"date", date)], within=5)


def test_the_headers_of_every_answer_change_with_nothing_but_the_time() -> None:
    assert set(re.findall(r"self\.(\w+)", inspect.getsource(Config.response_headers))) == {
        *("include_date_header", "include_server_header", "alt_svc_headers", "_quic_addresses")
    }


def test_the_protocol_and_its_streams_are_looked_up_where_we_replace_them() -> None:
    create = inspect.getsource(H11Protocol._create_stream)

    assert vars(hypercorn.protocol)["H11Protocol"] is H11Protocol
    assert "self.protocol = H11Protocol(" in inspect.getsource(hypercorn.protocol.ProtocolWrapper.__init__)
    assert vars(hypercorn.protocol.h11)["HTTPStream"] is HTTPStream
    assert vars(hypercorn.protocol.h11)["WSStream"] is WSStream
    assert "self.stream = HTTPStream(" in create
    assert "self.stream = WSStream(" in create


def test_the_protocol_asks_and_answers_in_the_methods_we_replace() -> None:
    events = inspect.getsource(H11Protocol._handle_events)

    assert "await self._check_protocol(event)\n                    await self._create_stream(event)" in events
    assert (
        "await self._send_error_response(error.error_status_hint)\n                await self.send(Closed())" in events
    )
    assert "event = self.connection.next_event()" in events
    assert "await self._close_stream()" in inspect.getsource(H11Protocol._maybe_recycle)


def test_a_connection_is_ended_by_the_event_we_wait_with() -> None:
    assert "elif isinstance(event, Closed):\n            await self._close()" in inspect.getsource(
        TCPServer.protocol_send
    )
    assert "await self.protocol.handle(Closed())" in inspect.getsource(TCPServer._read_data)
    assert "ConnectionState(self.state)" in inspect.getsource(TCPServer.run)


def test_streams_refuse_in_the_method_we_replace() -> None:
    assert "await self._send_error_response(500)" in inspect.getsource(HTTPStream.app_send)
    assert "await self._send_error_response(400)" in inspect.getsource(WSStream.handle)
    assert "self.state == ASGIWebsocketState.HANDSHAKE" in inspect.getsource(WSStream.app_send)


def test_the_queue_to_the_application_is_behind_the_put_that_a_stream_holds() -> None:
    assert "return app_queue.put" in inspect.getsource(TaskGroup.spawn_app)
    assert 'await self.app_put({"type": "http.disconnect"})' in inspect.getsource(HTTPStream.handle)


def test_the_handshake_is_looked_up_where_we_replace_it() -> None:
    asked = set(re.findall(r"self\.handshake\.(\w+)", inspect.getsource(WSStream)))

    assert vars(hypercorn.protocol.ws_stream)["Handshake"] is Handshake
    assert "self.handshake = Handshake(event.headers, event.http_version)" in inspect.getsource(WSStream.handle)
    assert asked == {"accept", "accepted", "is_valid", "subprotocols"}
    assert all(hasattr(OurHandshake([], "1.1"), name) for name in asked)


def test_a_websocket_begins_its_application_with_the_tasks_that_we_replace() -> None:
    handle = inspect.getsource(WSStream.handle)

    assert "await self.task_group.spawn_app(\n" in handle
    assert "self.app, self.config, self.scope, self.app_send\n" in handle
    assert list(inspect.signature(_handle).parameters) == [
        *("app", "config", "scope", "receive", "send", "sync_spawn", "call_soon")
    ]
    assert "await self.app(scope, receive, send)\n" in inspect.getsource(ASGIWrapper.__call__)


def test_a_websockets_task_group_and_buffer_are_used_nowhere_else() -> None:
    source = inspect.getsource(WSStream)

    assert source.count("self.task_group.") == 2  # the other one sends pings, which we leave switched off
    assert "self.task_group.spawn(self._send_pings)" in inspect.getsource(WSStream._accept)
    assert source.count("self.buffer") == 1 + inspect.getsource(WSStream._handle_events).count("self.buffer")


def test_a_websocket_is_accepted_in_the_method_we_replace() -> None:
    assert "await self._accept(message)" in inspect.getsource(WSStream.app_send)
    assert "self.handshake.accept(" in inspect.getsource(WSStream._accept)


def test_an_upgraded_connection_is_asked_for_no_more_than_its_stand_in_has() -> None:
    for part in (H11Protocol._maybe_recycle, H11Protocol._close_stream):
        asked = set(re.findall(r"self\.connection\.(\w+)", inspect.getsource(part)))
        assert asked <= {"our_state", "their_state", "start_next_cycle"}
    assert (UPGRADED.our_state, UPGRADED.their_state, UPGRADED.trailing_data) == (None, None, (b"", False))
    assert vars(UPGRADED) == {}
    assert "await self.can_read.set()" in inspect.getsource(H11Protocol._maybe_recycle)
    assert PASSED.is_set()


def test_wsproto_says_in_a_close_event_what_it_cannot_read_and_stays_open() -> None:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(frame(3))

    [event] = server.events()

    assert isinstance(event, CloseConnection)
    assert (event.code, server.state) == (1002, ConnectionState.OPEN)


def test_wsproto_tells_the_length_of_a_frame_before_the_frame() -> None:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(frame(2, b"four", size=1000))

    assert [event.frame_finished for event in server.events() if isinstance(event, BytesMessage)] == [False]
    decoder = server._proto._frame_decoder
    assert decoder.header is not None
    assert (decoder.header.payload_len, decoder.payload_consumed) == (1000, 4)


def test_wsproto_waits_for_more_in_a_generator_that_can_be_ended() -> None:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(frame(2, b"four"))

    end_frames(server)

    assert list(server.events()) == []
    assert "for event in self._parse_more:" in inspect.getsource(FrameProtocol.received_frames)


def test_quart_reads_a_websocket_from_what_we_put_in_the_place_of_its_queue() -> None:
    create = inspect.getsource(ASGIWebsocketConnection._create_websocket_from_scope)

    assert create.count("self.queue") == 1
    assert "self.queue.get," in create
    assert "self.app.websocket_class(" in create
    assert "self._accepted and not self._closed" in inspect.getsource(ASGIWebsocketConnection.handle_websocket)
    assert "await self.dispatch_websocket(websocket_context)" in inspect.getsource(Quart.full_dispatch_websocket)


def test_h11_reads_heads_from_the_buffer_we_replace() -> None:
    assert type(h11.Connection(h11.SERVER)._receive_buffer) is ReceiveBuffer
    assert type(StrictConnection()._receive_buffer) is StrictLines
    assert "lines = buf.maybe_extract_lines()" in inspect.getsource(h11._readers.maybe_read_from_IDLE_client)
    assert "self._data" in inspect.getsource(ReceiveBuffer.maybe_extract_lines)


def test_h11_fails_on_what_follows_the_last_request() -> None:
    assert h11._readers.READERS[h11.CLIENT, h11.MUST_CLOSE] is h11._readers.expect_nothing


@pytest.mark.parametrize("choice", ["auto", "uvloop"])
def test_uvloop_is_taken_where_it_is_installed(choice: str) -> None:
    factory = loop_factory(choice)

    assert factory is not None
    assert factory.__module__ == "uvloop"


def test_asyncio_means_pythons_own_loop() -> None:
    assert loop_factory("asyncio") is None
