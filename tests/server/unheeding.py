"""The routes of faults on a uvicorn that writes on when its transport says that it holds enough; for a control."""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl

from tests.harness.fault_routes import feature

__all__ = ["feature"]


def write_on(self: FlowControl) -> None: ...


FlowControl.pause_writing = write_on  # type: ignore[method-assign]  # in the process of one test
