"""Long answers are sent when the framework has done its part: its frames and objects are not held while they last."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

from litestar import Response
from litestar.types import ASGIApp, Receive, Scope, Send

Answer: TypeAlias = Callable[[Receive, Send], Awaitable[None]]
"""Sends a whole answer, its start included."""
AT_ONCE = 32
"""Streams that are being opened: what a crowd's requests take while they are looked into is never given back."""
_STREAM = re.compile(r"/api/runs/[^/]+/stream/?")
_KEY = "cody_handed_over"


class HandedOver(Response[None]):
    """What a route returns for an answer that `Handover` is to send."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(None)
        self._answer = answer

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        """Litestar calls this for what it then calls as ASGI."""

        async def hand_over(scope: Scope, receive: Receive, send: Send) -> None:
            scope["state"][_KEY] = self._answer

        return hand_over


class Handover:
    """ASGI: what goes round Litestar.

    An idle stream is ten kilobytes of the server's; a request of Litestar's, the scope that it fills and the
    coroutines on the way to a handler are as much again, and would be there for as long as the stream is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._opening = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let Litestar answer, or say what does."""
        if scope["type"] != "http" or not _STREAM.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        given: dict[str, Any] = {**scope, "state": {**scope["state"]}}
        async with self._opening:
            await self._app(scope, receive, send)
        answer: Answer | None = scope["state"].get(_KEY)
        given["path_template"] = scope.get("path_template")
        scope.clear()  # what Litestar knows of the request; the server keeps the scope
        cast("dict[str, Any]", scope).update(given)
        del given
        if answer is not None:
            await answer(receive, send)
