"""A crowd of SSE clients in a process of its own, that only count what they get.

As a process: `python -m benchmarks.crowd PORT COUNT MARK TARGET…`. It says `open` when every client has its first
block, reads to the end of every stream, and says what it saw; it is ended where streams have no end.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_CHUNK = 1 << 18
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Seen:
    """What the crowd saw, from when it was open."""

    marked: float
    """When the last client got the mark (or its end, without a mark), as `time.monotonic` tells it."""
    frames: int
    """Frames that the first client got."""
    sends: int
    """HTTP chunks in which it got them."""
    size: int
    """Bytes that it got."""

    @property
    def per_send(self) -> int:
        """Frames in one send, on average; whole, and at least one."""
        return max(1, round(self.frames / max(1, self.sends)))


class Crowd:
    """A crowd that is open."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def seen(self) -> Seen:
        """Wait until all streams have ended."""
        return Seen(**json.loads(self._line()))

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the crowd was lost")
        return line


@contextmanager
def crowd(port: int, count: int, targets: Sequence[str], mark: str = "") -> Generator[Crowd]:
    """`count` clients spread over `targets`, all of them open; `mark` is a text that ends what is measured."""
    command = [sys.executable, "-m", "benchmarks.crowd", str(port), str(count), mark, *targets]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None or process.stdout.readline().strip() != "open":
            raise RuntimeError("the crowd does not come in")
        yield Crowd(process)
    finally:
        process.kill()
        process.wait()


async def _client(port: int, target: str, mark: bytes, opened: "asyncio.Queue[None]", *, counts: bool) -> Seen:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    head = f"GET {target} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nconnection: close\r\n\r\n"
    writer.write(head.encode())
    await reader.readuntil(b"\n\n")
    opened.put_nowait(None)
    marked, last, got = 0.0, b"", list[bytes]()
    while chunk := await reader.read(_CHUNK):
        if mark and not marked and mark in last + chunk:
            marked = time.monotonic()
        last = chunk[-len(mark) :] if mark else b""
        if counts:
            got.append(chunk)
    writer.close()
    if mark and not marked:
        raise RuntimeError(f"a stream ended without {mark!r}")
    body = b"".join(got)
    return Seen(marked or time.monotonic(), body.count(b"\n\n"), body.count(b"\n\n\r\n"), len(body))


async def _come(port: int, count: int, mark: str, targets: Sequence[str]) -> None:
    opened: asyncio.Queue[None] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        clients = [
            group.create_task(_client(port, targets[n % len(targets)], mark.encode(), opened, counts=n == 0))
            for n in range(count)
        ]
        for _ in range(count):
            await opened.get()
        print("open", flush=True)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.wait(clients)
    first = clients[0].result()
    marked = max(client.result().marked for client in clients)
    print(json.dumps({"marked": marked, "frames": first.frames, "sends": first.sends, "size": first.size}), flush=True)


if __name__ == "__main__":
    asyncio.run(_come(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]))
