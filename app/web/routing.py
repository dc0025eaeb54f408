"""Finds the route of a request; where the address has no parameters, by one look after the first time."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from flask.sessions import NullSession
from quart import Quart, Request
from quart.ctx import RequestContext
from quart.globals import _cv_request
from quart.routing import QuartRule
from quart.sessions import SecureCookieSessionInterface, SessionMixin
from werkzeug.routing import MapAdapter


class RoutedQuart(Quart):
    """Remembers rules that are their own address: as many as are declared, whatever clients ask for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (Quart's own, handed on)
        super().__init__(*args, **kwargs)
        self.fixed: dict[tuple[str, str], QuartRule] = {}  # by method and path
        self._closed_session = NullSession()

    def request_context(self, request: Request) -> RequestContext:
        return RoutedContext(self, request, self._session_at_hand())

    def _session_at_hand(self) -> SessionMixin | None:
        """Without a key for its cookies, Quart makes each request a session that can't be written: one will do."""
        signed = self.secret_key or type(self.session_interface) is not SecureCookieSessionInterface
        return None if signed else self._closed_session


class RoutedContext(RequestContext):
    """Quart's, but that it makes an adapter of the URL map when somebody asks for it, and not each time."""

    app: RoutedQuart

    def __init__(self, app: RoutedQuart, request: Request, session: SessionMixin | None = None) -> None:
        # In place of Quart's two, line by line but for the adapter; tests/web/test_routing.py holds them together.
        self.app = app
        self.request_websocket = request
        self.request_websocket.routing_exception = None
        self.request_websocket.json_module = app.json
        self.session = session
        self.preserved = False
        self._cv_tokens = []
        self.flashes = None
        self._after_request_functions = []

    @cached_property
    def url_adapter(self) -> MapAdapter | None:  # type: ignore[override]  # an attribute of Quart's
        return self.app.create_url_adapter(self.request)

    async def push(self) -> None:
        if self.session is None:
            await super().push()
        else:  # the same, without the session to be opened and without a look at the adapter
            await self._push_appctx(_cv_request.set(self))
            self.match_request()

    def match_request(self) -> None:
        request, fixed = self.request, self.app.fixed
        known = fixed.get((request.method, request.path))
        if known is not None:
            request.url_rule, request.view_args = known, {}
            return
        super().match_request()
        rule = request.url_rule
        if rule is not None and rule.rule == request.path and not request.view_args:
            fixed[request.method, request.path] = rule
