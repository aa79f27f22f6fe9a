"""A bound for request bodies, enforced before anything is parsed."""

from typing import Any, cast

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem
from cody.contract.errors import BODY_TOO_LARGE

DRAIN_BYTES = 256 << 20
"""A client that is still sending reads no answer: so much is taken and dropped before the connection is cut."""


class BodyLimit:
    """ASGI: 413 for a body over the limit, in a form that its sender gets to read."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body, read whole."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        body, size, more = bytearray(), 0, True
        while more:
            message = cast("dict[str, Any]", await receive())
            if message["type"] == "http.disconnect":
                return
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size <= self._limit:
                body += chunk
            elif size > DRAIN_BYTES:
                break
            more = bool(message.get("more_body", False))
        if size > self._limit:
            await self._refuse(send)
            return
        given = False

        async def again() -> Any:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, again, send)

    async def _refuse(self, send: Send) -> None:
        body = problem(413, BODY_TOO_LARGE, f"the body is larger than {self._limit} bytes").problem
        content = body.model_dump_json().encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
        ]
        await send(cast("Message", {"type": "http.response.start", "status": 413, "headers": headers}))
        await send(cast("Message", {"type": "http.response.body", "body": content, "more_body": False}))
