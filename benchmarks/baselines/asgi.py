"""A bare ASGI app under uvicorn, a process of its own, that sends the same framed bytes to all who ask."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from cody.cli.dev.ports import free_port

HELLO = b": hello\n\n"
_FRAME = int(os.environ.get("BENCH_FRAME_BYTES", "400"))
_FRAMES = int(os.environ.get("BENCH_FRAMES", "0"))
_PER_SEND = int(os.environ.get("BENCH_PER_SEND", "1"))
_HEAD = b"id: 1-1\nevent: item_delta\ndata: "
_PAYLOAD = (_HEAD + b"x" * (_FRAME - len(_HEAD) - 2) + b"\n\n") * _PER_SEND
_START_SECONDS = 20.0
_released = asyncio.Event()

Message = MutableMapping[str, Any]


async def app(scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]):
    """`/go` releases everybody, `/idle` only waits, anything else streams all frames once released."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/go":
        _released.set()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": HELLO, "more_body": True})
    if scope["path"] == "/idle":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    await _released.wait()
    for _ in range(_FRAMES // _PER_SEND):
        await send({"type": "http.response.body", "body": _PAYLOAD, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


@dataclass(frozen=True)
class Server:
    """The app under uvicorn."""

    port: int
    process: psutil.Process

    def go(self) -> None:
        """Release the streams."""
        with socket.create_connection(("127.0.0.1", self.port)) as door:
            door.sendall(b"GET /go HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            door.recv(100)


@contextmanager
def serving(*, frames: int = 0, frame_bytes: int = 400, per_send: int = 1) -> Generator[Server]:
    """The app, ready, and gone at the end."""
    port = free_port()
    sizes = {"BENCH_FRAMES": frames, "BENCH_FRAME_BYTES": frame_bytes, "BENCH_PER_SEND": per_send}
    options = ("--port", str(port), "--log-level", "error", "--no-access-log")
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", f"{__name__}:app", *options],
        env={**os.environ, **{name: str(value) for name, value in sizes.items()}},
    )
    try:
        until = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the bare ASGI app does not come up")
            time.sleep(0.02)
        yield Server(port, psutil.Process(process.pid))
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
