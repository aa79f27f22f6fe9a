"""A crowd of SSE clients in a process of its own: each follows a stream, resumes it, and looks at every SEQ.

As a process: `python -m tests.scale.crowd PORT COUNT TARGET…`. It says `open` when every client has its first entry,
then answers each line that it is told, `look` at once and `wait` when all streams have ended, with what all have seen.
"""

import asyncio
import json
import re
import resource
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from threading import Timer

_CHUNK = 1 << 18
_AT_ONCE = 200
"""Connections that are being made at the same time: a crowd comes in by a door."""
_HEAD = re.compile(rb"id: (\d+)-\d+\nevent: (\w+)\ndata: ")
"""Stands nowhere in an event's JSON, which has no line ends."""
_ENDS = {b"run_completed", b"run_failed", b"run_cancelled"}
_PAUSE_SECONDS = 0.2


@dataclass
class Seen:
    """What one client saw."""

    entries: int = 0
    fault: str | None = None
    ended: bool = False
    connections: int = 0


class Crowd:
    """A crowd that is open."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def look(self) -> list[Seen]:
        """What every client has seen so far."""
        return self._ask("look", 60)

    def wait(self, seconds: float) -> list[Seen]:
        """What every client saw, once all streams have ended."""
        return self._ask("wait", seconds)

    def _ask(self, word: str, seconds: float) -> list[Seen]:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return [Seen(**each) for each in json.loads(_line(self._process, seconds))]


@contextmanager
def crowd(port: int, targets: Sequence[str], count: int, seconds: float = 120.0) -> Generator[Crowd]:
    """`count` clients, spread over `targets`, all of which are open within `seconds`."""
    command = [sys.executable, "-m", "tests.scale.crowd", str(port), str(count), *targets]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert _line(process, seconds) == "open\n"
            yield Crowd(process)
        finally:
            process.kill()


def _line(process: "subprocess.Popen[str]", seconds: float) -> str:
    """The process's next line; AssertionError if it ends first, or is ended as that took too long."""
    assert process.stdout
    timer = Timer(seconds, process.kill)
    timer.start()
    try:
        line = process.stdout.readline()
    finally:
        timer.cancel()
    assert line, f"the crowd ended, or said nothing for {seconds} s"
    return line


class _Client:
    """One of them."""

    def __init__(self, port: int, target: str) -> None:
        self.seen = Seen()
        self.opened = asyncio.Event()
        self._port, self._target = port, target

    async def run(self, door: asyncio.Semaphore) -> None:
        """Follow the stream to the end of its run, over any number of connections."""
        while not (self.seen.ended or self.seen.fault):
            if self.seen.connections:
                await asyncio.sleep(_PAUSE_SECONDS)
            await self._connect(door)
        self.opened.set()

    async def _connect(self, door: asyncio.Semaphore) -> None:
        self.seen.connections += 1
        async with door:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            after = f"?from={self.seen.entries}" if self.seen.entries else ""
            writer.write(f"GET {self._target}{after} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
            status = (await reader.readline()).split(b" ")[1]
        if status not in {b"200", b"204"}:
            self.seen.fault = f"the answer was {status.decode()}"
        self.seen.ended = status == b"204"
        rest = b""
        while chunk := await reader.read(_CHUNK):
            whole, mark, after_mark = (rest + chunk).rpartition(b"\n\n")
            if mark:
                self._take(whole)
            rest = after_mark
        writer.close()

    def _take(self, frames: bytes) -> None:
        for found in _HEAD.finditer(frames):
            seq = int(found[1])
            if seq != self.seen.entries + 1 or self.seen.ended:
                self.seen.fault = self.seen.fault or f"SEQ {seq} follows {self.seen.entries}"
            self.seen.entries = seq
            self.seen.ended = found[2] in _ENDS
        if self.seen.entries:
            self.opened.set()


async def _come(port: int, count: int, targets: Sequence[str]) -> None:
    clients = [_Client(port, targets[number % len(targets)]) for number in range(count)]
    door = asyncio.Semaphore(_AT_ONCE)
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.run(door))
        for client in clients:
            await client.opened.wait()
        print("open", flush=True)
        while word := await asyncio.to_thread(sys.stdin.readline):
            while word == "wait\n" and not all(client.seen.ended or client.seen.fault for client in clients):
                await asyncio.sleep(0.05)
            print(json.dumps([asdict(client.seen) for client in clients]), flush=True)


if __name__ == "__main__":
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(_come(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
