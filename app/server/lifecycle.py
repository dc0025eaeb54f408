"""One process from settings to exit code, in any role: every step of start and stop, in order, logged."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

import structlog

from app.core.beside import beside
from app.core.database import DatabaseUnavailable, UnsupportedServer
from app.core.exit_codes import ExitCode
from app.core.garbage import collect_less
from app.core.lifecycle import Lifecycle, Phase
from app.core.migrations import MigrationError
from app.core.resources import Resources, open_resources
from app.core.settings import Settings
from app.core.telemetry import configure_logging, parse_levels, secrets_of
from app.feature import Feature
from app.server.app import create_app
from app.server.drain import Drain
from app.server.edges import open_edges, tasks_ended
from app.server.engine import Connections, engine_of, loop_factory
from app.server.listener import CannotListen, PortTaken, base_url, open_listener
from app.server.role import Role
from app.server.signals import install_stop_signals
from app.sockets.heartbeat import Heartbeat
from app.web.application import Application

log = structlog.get_logger(__name__)

OnListening = Callable[[Resources, str], Awaitable[None]]
Services = Callable[[Settings], AbstractAsyncContextManager[Settings]]

LAST_RESORT = 5.0  # seconds beyond our own deadline after which the engine's own would step in


class ServicesFailed(Exception):
    """What `services` was to start did not start."""


# What a start can end with, besides serving: the exception, and the code that tells a supervisor. A
# `MigrationError` brings its own.
START_FAILURES: dict[type[Exception], ExitCode] = {
    DatabaseUnavailable: ExitCode.SERVICE_UNAVAILABLE,
    UnsupportedServer: ExitCode.WRONG_SCHEMA,
    ServicesFailed: ExitCode.SERVICE_UNAVAILABLE,
    PortTaken: ExitCode.PORT_TAKEN,
    CannotListen: ExitCode.BAD_SETTINGS,
}


def run_server(
    settings: Settings,
    *,
    features: Sequence[Feature],
    role: Role = Role.SERVE,
    services: Services = nullcontext,
    on_listening: OnListening | None = None,
) -> int:
    """Serve, work, or both, until told to stop; return the exit code.

    `services` may start what the settings need and yield them with its addresses (`app dev`);
    `on_listening` is given what is open and the base URL once it answers.
    """
    configure_logging(parse_levels(settings.log.level), json=settings.log.json, secrets=secrets_of(settings))
    with asyncio.Runner(loop_factory=loop_factory(settings.server.event_loop)) as runner:
        return runner.run(_supervise(settings, features, services, on_listening, role))


async def _supervise(
    settings: Settings, features: Sequence[Feature], services: Services, on_listening: OnListening | None, role: Role
) -> int:
    lifecycle = Lifecycle()
    serving = asyncio.create_task(_serve(settings, features, lifecycle, services, on_listening, role))
    install_stop_signals(asyncio.get_running_loop(), lambda: _ask_to_stop(lifecycle, serving))
    try:
        await serving
    except asyncio.CancelledError:
        log.info("stopped", phase=lifecycle.phase)
    except MigrationError as error:
        return _start_failed(error, error.exit_code)
    except tuple(START_FAILURES) as error:
        return _start_failed(error, next(code for kind, code in START_FAILURES.items() if isinstance(error, kind)))
    except Exception:
        log.critical("crashed", phase=lifecycle.phase, exc_info=True)
        return ExitCode.UNEXPECTED
    return ExitCode.OK


def _ask_to_stop(lifecycle: Lifecycle, serving: asyncio.Task[None]) -> None:
    if lifecycle.phase is Phase.STARTING:
        serving.cancel()  # nothing is being served yet: give up the start
    lifecycle.stop_requested.set()


def _start_failed(error: Exception, code: ExitCode) -> int:
    log.critical("start_failed", reason=str(error), exit_code=int(code))
    return code


async def _serve(
    settings: Settings,
    features: Sequence[Feature],
    lifecycle: Lifecycle,
    services: Services,
    on_listening: OnListening | None,
    role: Role = Role.SERVE,
) -> None:
    name, environment = settings.app.name, str(settings.environment)
    log.info("starting", app=name, role=str(role), environment=environment, pid=os.getpid())
    for notice in settings.notices:
        log.warning("settings_notice", notice=notice)
    server = settings.server
    # The port first: whether it is free is known at once, and nothing has to be undone.
    with open_listener(server.host, role.port(settings), backlog=server.backlog, setting=role.port_setting) as listener:
        async with services(settings) as in_force, open_resources(in_force, lifecycle) as resources:
            metrics, tracing = resources.metrics, resources.tracing
            app = create_app(in_force, role.answered(features), lifecycle=lifecycle, metrics=metrics, tracing=tracing)
            app.resources = resources
            async with open_edges(app, resources, features, role):
                await _run_until_stopped(app, resources, listener, on_listening, role)
    lifecycle.phase = Phase.STOPPED
    log.info("stopped")


async def _run_until_stopped(
    app: Application, resources: Resources, listener: socket.socket, on_listening: OnListening | None, role: Role
) -> None:
    settings, lifecycle = resources.settings, resources.lifecycle
    server = settings.server
    connections = Connections(settings.websocket)
    engine_fd = os.dup(listener.fileno())
    drain = Drain(
        app,
        listener,
        engine_fd,
        connections,
        delay=server.drain_delay if role.serves else 0.0,  # no balancer sends work to a worker
        timeout=server.shutdown_timeout,
        reconnect_spread=settings.websocket.reconnect_spread,
    )
    finishing: list[asyncio.Task[None]] = []

    async def stop_when_asked() -> None:
        collect_less()
        lifecycle.phase = Phase.SERVING
        url = base_url(listener)
        log.info("server_listening", url=url)
        if on_listening:
            await on_listening(resources, url)
        await lifecycle.stop_requested.wait()
        if not role.serves:
            lifecycle.phase = Phase.DRAINING  # how it is can be asked until its last task has ended
            await tasks_ended(app)
        await drain.announce()
        finishing.append(asyncio.create_task(drain.finish()))

    resources.metrics.sockets.follow(connections.wires)
    heartbeat = Heartbeat(settings.websocket, connections.wires, resources.metrics.sockets, resources.clock)
    async with beside(heartbeat.run(), name="heartbeat"):
        await engine_of(server.engine)(
            app,
            engine_fd,
            backlog=server.backlog,
            keep_alive=server.keep_alive_timeout,
            connections=connections,
            shutdown_trigger=stop_when_asked,
            last_resort=server.shutdown_timeout + LAST_RESORT,
        )
        await asyncio.gather(*finishing)
