"""Counts requests and how long their answers took to begin, around the whole application."""

import time
from collections.abc import Awaitable
from typing import Any, cast

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from cody.metrics import REQUEST_SECONDS, REQUESTS

_NOWHERE = ("any", "none")
"""Method and route of what matches none: its own would be a new series for every typo."""


class Measured:
    """ASGI. It adds no coroutine of its own: streams are open for an hour, and there are thousands of them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """The application's own answer."""
        return self._app(scope, receive, _Head(scope, send) if scope["type"] == "http" else send)


class _Head:
    """Passes messages on, and looks at the one that begins the answer."""

    __slots__ = ("_began", "_scope", "_send")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send, self._began = scope, send, time.perf_counter()

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            scope = cast("dict[str, Any]", self._scope)
            route = scope.get("path_template")
            method, route = (scope["method"], route) if route else _NOWHERE
            REQUESTS.labels(method, route, message["status"]).inc()
            REQUEST_SECONDS.labels(method, route).observe(time.perf_counter() - self._began)
        return self._send(message)
