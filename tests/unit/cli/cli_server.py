"""A small real HTTP server whose every answer a test writes by hand, byte for byte where it matters."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Answer:
    """The connection, for an answer in as many pieces as the test likes."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer

    async def json(self, status: int, body: object, content_type: str = "application/json") -> None:
        data = json.dumps(body).encode()
        lines = (f"Content-Type: {content_type}", f"Content-Length: {len(data)}", "Connection: close")
        await self.raw("\r\n".join((f"HTTP/1.1 {status} X", *lines, "\r\n")).encode() + data)

    async def problem(self, status: int, code: str, **more: object) -> None:
        body = {"type": "about:blank", "title": "No", "status": status, "detail": f"it is {code}", "code": code, **more}
        await self.json(status, body, "application/problem+json")

    async def empty(self, status: int) -> None:
        await self.raw(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())

    async def stream(self) -> None:
        await self.raw(STREAM_HEAD)

    async def chunk(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        """A clean end of the stream; without it the connection is dropped in the middle."""
        await self.raw(b"0\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


Handler = Callable[[Request, Answer], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, port: int = 0) -> AsyncIterator[tuple[str, list[Request]]]:
    """The server's address and the requests that it got; each connection carries one request."""
    seen: list[Request] = []

    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            request = Request(method, target, headers, body)
            seen.append(request)
            await handler(request, Answer(writer))
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield f"http://127.0.0.1:{port}", seen
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def event(type_: str, turn: int = 0, attempt: int = 0, at: int = 1_000, **payload: object) -> str:
    """An event's JSON on one line."""
    return json.dumps(
        {
            "event_id": f"run_1:{turn}:{attempt}:1",
            "type": type_,
            "timestamp": at,
            "run_id": "run_1",
            "turn": turn,
            "attempt": attempt,
            "trace_context": TRACE,
            "payload": payload,
        }
    )


def frame(seq: int, type_: str = "warning", **payload: object) -> bytes:
    """An SSE frame as the contract writes it."""
    payload = payload or {"code": "x", "message": "y"}
    return f"id: {seq}-0\nevent: {type_}\ndata: {event(type_, **payload)}\n\n".encode()


def terminal(seq: int) -> bytes:
    return frame(seq, "run_completed", reason="completion")


def snapshot(**fields: object) -> dict[str, object]:
    """A run's snapshot as the service gives it."""
    links = dict.fromkeys(("self", "status", "stream", "control", "responses", "temporal"), "/x")
    return {
        "run_id": "run_1",
        "kind": "continuous",
        "status": "completed",
        "agent": "command",
        "thread_id": "thread_1",
        "created_at": 0,
        "started_at": 1_000,
        "updated_at": 0,
        "finished_at": 6_100,
        "stats": {"turns": 3, "tokens": 2724},
        "links": links,
        **fields,
    }
