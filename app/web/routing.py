"""Finds the route of a request; where the address has no parameters, by one look after the first time."""

from __future__ import annotations

from typing import Any

from quart import Quart, Request
from quart.ctx import RequestContext
from quart.routing import QuartRule


class RoutedQuart(Quart):
    """Remembers rules that are their own address: as many as are declared, whatever clients ask for."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  (Quart's own, handed on)
        super().__init__(*args, **kwargs)
        self.fixed: dict[tuple[str, str], QuartRule] = {}  # by method and path

    def request_context(self, request: Request) -> RequestContext:
        return RoutedContext(self, request)


class RoutedContext(RequestContext):
    app: RoutedQuart

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
